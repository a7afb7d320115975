/**
 * One random history: processes that admit, settle, crash and come back, a network that delays, doubles and loses, a
 * database that is promoted from an old copy; limits that fall, windows that end, requests that cost more than expected.
 * The slices are changed by the gateway's own transition functions. After every step no budget is exceeded beyond its
 * stated bound; at the end every cost is booked once and nothing is left set aside.
 */
import {
  applyGrant,
  available,
  fits,
  giveBack,
  isExhausted,
  reserveAll,
  Slice,
  settle,
  wantOf,
} from '../../../../gateway/admission/slice.ts';
import type { BudgetClaim } from '../../../../gateway/domain/slices.ts';
import { DatabaseTwin, type TwinEvent, type TwinLog, type TwinSlice } from '../database-twin.ts';
import { Random } from './random.ts';
import type { Variant } from './variants.ts';

/** What a history may break. */
export type Fault = 'overrun' | 'leased' | 'doubled' | 'lost' | 'invented' | 'unbilled' | 'stuck' | 'ledger';

export class HistoryFailed extends Error {
  readonly fault: Fault;
  constructor(fault: Fault, detail: string) {
    super(`${fault}: ${detail}`);
    this.name = 'HistoryFailed';
    this.fault = fault;
  }
}

export interface Tally {
  requests: number;
  refused: number;
  crashes: number;
  promotions: number;
  resets: number;
}

export const newTally = (): Tally => ({ requests: 0, refused: 0, crashes: 0, promotions: 0, resets: 0 });

/** @throws HistoryFailed */
export function runHistory(seed: number, variant: Variant, tally: Tally): void {
  new History(seed, variant, tally).run();
}

const keys = ['a:key:1', 'a:key:2', 'a:key:3'];
const teams = ['t:team:1', 't:team:2'];
const everything = 'z:global';
const accountIds = [...keys, ...teams, everything];

/** The outbox of one process: what it has written down, and how far the database is known to have it. */
class OutboxModel {
  readonly id: string;
  readonly begun = new Map<number, TwinEvent>();
  events: TwinEvent[] = [];
  /** Position of `events[0]`. */
  first = 1;
  shipped = 0;
  inFlight = 0;
  /** Its process is dead: recovered by somebody else. */
  sealed = false;
  closed = false;
  constructor(id: string) {
    this.id = id;
  }
  get last(): number {
    return this.first + this.events.length - 1;
  }
}

interface Request {
  readonly accounts: readonly string[];
  readonly slices: readonly Slice[];
  readonly estimate: number;
  readonly cost: number;
}

interface Running extends Request {
  readonly id: number;
  /** Windows it was admitted in, by account. */
  readonly windows: readonly number[];
}

class ProcessModel {
  readonly outbox: OutboxModel;
  readonly slices = new Map<string, Slice>();
  waiting: Request[] = [];
  running: Running[] = [];
  asking = 0;
  dead = false;
  /** Of the wrong variants. */
  readonly cached = new Map<string, number>();
  readonly pending = new Map<string, number>();
  constructor(outbox: OutboxModel) {
    this.outbox = outbox;
  }
  slice(id: string): Slice {
    let slice = this.slices.get(id);
    if (slice === undefined) {
      slice = new Slice(id);
      this.slices.set(id, slice);
    }
    return slice;
  }
}

type Message =
  | { readonly kind: 'grant'; readonly number: number; readonly from: ProcessModel; readonly claims: BudgetClaim[] }
  | {
      readonly kind: 'ship';
      readonly number: number;
      readonly from: OutboxModel;
      readonly first: number;
      readonly events: readonly TwinEvent[];
    }
  | { readonly kind: 'close'; readonly number: number; readonly from: OutboxModel; readonly last: number };

/** Books whatever arrives, as a ledger without positions does. */
class TwinWithoutPositions extends DatabaseTwin {
  override ship(logId: string, first: number, events: readonly TwinEvent[]): number {
    const log = this.log(logId);
    for (const event of events) this.book(log, event);
    log.applied = Math.max(log.applied, first + events.length - 1);
    return log.applied;
  }
}

/** Adds what a message says, however often it comes. */
class TwinOfAmounts extends DatabaseTwin {
  protected override totalsOf(claim: BudgetClaim, slice: TwinSlice) {
    return { granted: slice.granted, returned: slice.returned + claim.returned };
  }
}

class History {
  readonly #random: Random;
  readonly #seed: number;
  readonly #variant: Variant;
  readonly #tally: Tally;
  readonly #mode: {
    readonly overspend: boolean;
    readonly resets: boolean;
    readonly promotion: boolean;
    readonly lower: boolean;
  };
  readonly #unit: number;
  readonly #processes: ProcessModel[] = [];
  readonly #outboxes: OutboxModel[] = [];
  #network: Message[] = [];
  #database: DatabaseTwin;
  #old: DatabaseTwin;
  #messages = 0;
  #requests = 0;
  /** By account: its limit, the number of its window, what was admitted in it, and how far beyond is stated. */
  readonly #limit = new Map<string, number>();
  readonly #window = new Map<string, number>();
  readonly #admitted = new Map<string, number>();
  readonly #bound = new Map<string, number>();
  /** Costs that must be in the ledger once. */
  readonly #due = new Map<number, number>();
  /** Requests that reached an upstream. */
  readonly #upstream = new Set<number>();

  constructor(seed: number, variant: Variant, tally: Tally) {
    this.#seed = seed;
    this.#variant = variant;
    this.#tally = tally;
    const random = new Random(seed);
    this.#random = random;
    this.#mode = {
      overspend: random.chance(0.25),
      resets: random.chance(0.4),
      promotion: random.chance(0.25),
      lower: random.chance(0.2),
    };
    this.#unit = random.chance(0.5) ? 1 : 10;
    this.#database =
      variant === 'no-applied-position'
        ? new TwinWithoutPositions()
        : variant === 'amounts-instead-of-totals'
          ? new TwinOfAmounts()
          : new DatabaseTwin();
    for (const id of accountIds) {
      const max = (id === everything ? 60 + random.integer(300) : 5 + random.integer(120)) * this.#unit;
      this.#database.putAccount(id, max);
      this.#limit.set(id, max);
      for (const map of [this.#window, this.#admitted, this.#bound]) map.set(id, 0);
    }
    this.#old = this.#database.copy();
    for (let count = 2 + random.integer(3); count > 0; count--) this.#processes.push(this.#newProcess());
  }

  run(): void {
    for (let steps = 60 + this.#random.integer(240); steps > 0; steps--) {
      this.#step();
      this.#checkLimits();
    }
    this.#end();
    this.#checkLedger();
  }

  #step(): void {
    const random = this.#random;
    const dice = random.next();
    const index = random.integer(this.#processes.length);
    const process = this.#processes[index];
    if (process === undefined) return;
    if (dice < 0.34) this.#arrive(process);
    else if (dice < 0.48) this.#renew(process);
    else if (dice < 0.68) this.#finish(process);
    else if (dice < 0.8) {
      const outbox = random.pick(this.#outboxes);
      if (outbox.inFlight === 0 || random.chance(0.3)) this.#ship(outbox);
    } else if (dice < 0.86) this.#giveBack(process);
    else if (dice < 0.91) {
      const [late] = this.#network.splice(random.integer(Math.max(1, this.#network.length)), 1);
      if (late !== undefined) this.#deliver(late, random.chance(0.6));
    } else if (dice < 0.93) {
      // A time-out: nobody waits for the reply any more.
      process.asking = 0;
    } else if (dice < 0.95) {
      if (random.chance(0.5)) this.#crash(index);
    } else if (dice < 0.965) this.#reset(random.pick(accountIds));
    else if (dice < 0.975) this.#lower(random.pick(accountIds));
    else if (dice < 0.985) {
      if (this.#mode.promotion) this.#old = this.#database.copy();
    } else if (dice < 0.99) {
      if (this.#mode.promotion && random.chance(0.5)) this.#promote();
    } else if (this.#variant === 'release-after-silence' && random.chance(0.7)) {
      this.#database.abandon(process.outbox.id);
    }
  }

  #newProcess(): ProcessModel {
    const outbox = new OutboxModel(`log-${this.#outboxes.length}`);
    this.#outboxes.push(outbox);
    return new ProcessModel(outbox);
  }

  /** One request, or a burst. */
  #arrive(process: ProcessModel): void {
    const random = this.#random;
    for (let count = random.chance(0.1) ? 20 : 1; count > 0; count--) {
      const estimate = random.chance(0.5) ? this.#unit : 1 + random.integer(6 * this.#unit);
      const overspends = this.#mode.overspend && random.chance(0.1);
      const cost = overspends
        ? estimate + random.integer(3 * this.#unit)
        : random.chance(0.3)
          ? estimate
          : random.integer(estimate + 1);
      const accounts = [random.pick(keys), random.pick(teams), everything];
      const request = { accounts, slices: accounts.map((id) => process.slice(id)), estimate, cost };
      if (this.#admit(process, request)) continue;
      if (this.#variant === 'check-then-act') this.#tally.refused++;
      else process.waiting.push(request);
    }
  }

  #admit(process: ProcessModel, request: Request): boolean {
    const { accounts, slices, estimate } = request;
    if (this.#variant === 'check-then-act') {
      const isOver = (id: string) => (process.cached.get(id) ?? 0) + estimate > (this.#limit.get(id) ?? 0);
      if (accounts.some(isOver)) return false;
    } else if (!fits(slices, estimate)) return false;
    reserveAll(slices, estimate);
    const id = this.#requests++;
    const running = { ...request, id, windows: accounts.map((account) => this.#window.get(account) ?? 0) };
    process.running.push(running);
    this.#charge(running, estimate);
    this.#upstream.add(id);
    this.#tally.requests++;
    if (this.#variant !== 'no-begin') process.outbox.begun.set(id, { id, cost: estimate, accounts });
    return true;
  }

  #finish(process: ProcessModel): void {
    const [request] = process.running.splice(this.#random.integer(Math.max(1, process.running.length)), 1);
    if (request === undefined) return;
    const { id, accounts, slices, estimate, cost } = request;
    for (const slice of slices) settle(slice, estimate, cost);
    if (cost > estimate) for (const account of accounts) this.#allow(account, cost - estimate);
    this.#charge(request, cost - estimate);
    process.outbox.begun.delete(id);
    process.outbox.events.push({ id, cost, accounts });
    this.#due.set(id, cost);
  }

  #renew(process: ProcessModel): void {
    if (this.#variant === 'check-then-act') {
      for (const [id, account] of this.#database.accounts) process.cached.set(id, account.spent);
    } else if (process.asking === 0 && process.waiting.length > 0) this.#ask(process);
  }

  #giveBack(process: ProcessModel): void {
    if (this.#variant !== 'return-after-send') {
      for (const slice of process.slices.values()) {
        const given = giveBack(slice);
        process.pending.set(slice.id, (process.pending.get(slice.id) ?? 0) + given);
      }
    }
    if (process.asking === 0) this.#ask(process);
  }

  #ask(process: ProcessModel): void {
    const needed = new Map<string, { sum: number; ticket: number }>();
    for (const { accounts, estimate } of process.waiting) {
      for (const id of accounts) {
        const need = needed.get(id) ?? { sum: 0, ticket: 1 };
        needed.set(id, { sum: need.sum + estimate, ticket: Math.max(need.ticket, estimate) });
      }
    }
    const claims = [...process.slices.values()].map((slice): BudgetClaim => {
      const need = needed.get(slice.id);
      const want = need === undefined ? 0 : wantOf(slice, need.sum);
      let { returned } = slice;
      if (this.#variant === 'amounts-instead-of-totals') returned = process.pending.get(slice.id) ?? 0;
      if (this.#variant === 'return-after-send' && want === 0) returned += Math.max(0, available(slice));
      return {
        account: slice.id,
        granted: slice.granted,
        returned,
        want,
        ticket: need?.ticket ?? 1,
        slack: need === undefined ? 0 : 30 * this.#unit,
      };
    });
    process.asking = ++this.#messages;
    this.#send({ kind: 'grant', number: process.asking, from: process, claims });
  }

  #ship(outbox: OutboxModel): void {
    const from = Math.max(outbox.shipped + 1, outbox.first);
    if (from <= outbox.last) {
      const events = outbox.events.slice(from - outbox.first, from - outbox.first + 1 + this.#random.integer(8));
      if (this.#variant === 'remove-before-the-reply') outbox.shipped = from + events.length - 1;
      outbox.inFlight = ++this.#messages;
      this.#send({ kind: 'ship', number: outbox.inFlight, from: outbox, first: from, events });
    } else if (outbox.sealed && !outbox.closed) {
      outbox.inFlight = ++this.#messages;
      this.#send({ kind: 'close', number: outbox.inFlight, from: outbox, last: outbox.last });
    }
  }

  /** At once, without a reply, late, twice, or never. */
  #send(message: Message): void {
    const dice = this.#random.next();
    if (dice < 0.7) this.#deliver(message, true);
    else if (dice < 0.8) this.#deliver(message, false);
    else if (dice < 0.9) this.#network.push(message);
    else if (dice < 0.95) {
      this.#deliver(message, this.#random.chance(0.5));
      this.#network.push(message);
    }
  }

  #deliver(message: Message, replies: boolean): void {
    switch (message.kind) {
      case 'grant':
        this.#deliverGrant(message, replies);
        break;
      case 'ship': {
        const { from, first, events, number } = message;
        const applied = this.#database.ship(from.id, first, events);
        if (!replies) return;
        if (number === from.inFlight) from.inFlight = 0;
        if (this.#variant !== 'remove-before-the-reply') from.shipped = applied;
        if (this.#variant === 'delete-on-commit') {
          const gone = Math.min(Math.max(0, applied - from.first + 1), from.events.length);
          from.events.splice(0, gone);
          from.first += gone;
        }
        break;
      }
      case 'close': {
        const { from, last, number } = message;
        const closed = this.#database.close(from.id, last);
        if (!replies) return;
        if (number === from.inFlight) from.inFlight = 0;
        if (closed) from.closed = true;
      }
    }
  }

  #deliverGrant(message: Extract<Message, { kind: 'grant' }>, arrives: boolean): void {
    const { from: process, claims, number } = message;
    const replies = this.#database.grant(process.outbox.id, claims);
    // A reply that nobody waits for may still be read.
    if (!arrives || process.dead || (number !== process.asking && this.#random.chance(0.5))) return;
    if (number === process.asking) process.asking = 0;
    if (replies === 'closed') return;
    for (const reply of replies) {
      const slice = process.slice(reply.account);
      if (this.#variant === 'amounts-instead-of-totals') process.pending.set(reply.account, 0);
      if (this.#variant === 'return-after-send') {
        const sent = claims.find(({ account }) => account === reply.account);
        slice.returned = Math.max(slice.returned, sent?.returned ?? 0);
      }
      applyGrant(slice, reply.granted, reply.free);
    }
    process.waiting = process.waiting.filter((request) => {
      if (this.#admit(process, request)) return false;
      const isRefused = request.slices.some((slice) => isExhausted(slice, request.estimate));
      if (isRefused) this.#tally.refused++;
      return !isRefused;
    });
  }

  #crash(index: number): void {
    const process = this.#processes[index];
    if (process === undefined) return;
    process.dead = true;
    this.#tally.crashes++;
    this.#seal(process.outbox);
    this.#processes[index] = this.#newProcess();
  }

  /** Recovery: what was begun and not ended is booked with what was set aside for it. */
  #seal(outbox: OutboxModel): void {
    outbox.sealed = true;
    for (const event of outbox.begun.values()) {
      outbox.events.push(event);
      this.#due.set(event.id, event.cost);
    }
    outbox.begun.clear();
  }

  #reset(id: string): void {
    const account = this.#database.accounts.get(id);
    if (!this.#mode.resets || account === undefined) return;
    this.#tally.resets++;
    this.#window.set(id, (this.#window.get(id) ?? 0) + 1);
    this.#admitted.set(id, 0);
    // What is handed out beyond a lowered limit is spent in the new window.
    if (!this.#mode.promotion) this.#bound.set(id, Math.max(0, account.leased - (this.#limit.get(id) ?? 0)));
    account.windowOver = true;
    if (this.#variant !== 'reset-zeroes-leased') return;
    account.leased = 0;
    for (const { slices } of this.#database.logs.values()) {
      const slice = slices.get(id);
      if (slice !== undefined) slice.returned = slice.granted - slice.spent;
    }
  }

  #lower(id: string): void {
    const account = this.#database.accounts.get(id);
    if (!this.#mode.lower || this.#mode.promotion || account === undefined) return;
    const max = Math.max(1, Math.floor((this.#limit.get(id) ?? 0) * (0.5 + this.#random.next())));
    const spent = account.windowOver ? 0 : account.spent;
    const beyond = Math.max(0, spent + account.leased - max);
    this.#limit.set(id, max);
    account.max = max;
    // Overspending and lowering in one history: the two bounds overlap, so only the rest is checked.
    this.#bound.set(id, Math.max(this.#bound.get(id) ?? 0, beyond) + (this.#mode.overspend ? 1e6 : 0));
  }

  /** A replica takes over that lacks the newest commits. */
  #promote(): void {
    this.#tally.promotions++;
    const lost = this.#database;
    this.#database = this.#old.copy();
    for (const [id, account] of this.#database.accounts) {
      account.max = this.#limit.get(id);
      let granted = 0;
      for (const [logId, { slices }] of lost.logs) {
        const known = this.#database.logs.get(logId)?.slices.get(id)?.granted ?? 0;
        granted += Math.max(0, (slices.get(id)?.granted ?? 0) - known);
      }
      this.#allow(id, granted);
    }
    this.#old = this.#database.copy();
    for (const outbox of this.#outboxes) {
      outbox.shipped = 0;
      outbox.closed = false;
      outbox.inFlight = 0;
    }
  }

  #charge({ accounts, windows }: Running, amount: number): void {
    for (const [index, id] of accounts.entries()) {
      if (windows[index] === this.#window.get(id)) this.#admitted.set(id, (this.#admitted.get(id) ?? 0) + amount);
    }
  }

  #allow(id: string, amount: number): void {
    this.#bound.set(id, (this.#bound.get(id) ?? 0) + amount);
  }

  /** Everything stops, every message arrives, every log is recovered. */
  #end(): void {
    for (const message of this.#network.splice(0)) this.#deliver(message, false);
    for (const { outbox } of this.#processes) this.#seal(outbox);
    for (let round = 0; round < 4_000 && this.#outboxes.some(({ closed }) => !closed); round++) {
      for (const outbox of this.#outboxes) this.#recover(outbox);
    }
  }

  #recover(outbox: OutboxModel): void {
    const { applied } = this.#database.log(outbox.id);
    if (this.#variant === 'remove-before-the-reply') outbox.closed ||= outbox.shipped >= outbox.last;
    else if (this.#variant === 'delete-on-commit') outbox.closed ||= outbox.first > applied + 1;
    else outbox.shipped = applied;
    if (!outbox.closed) this.#ship(outbox);
  }

  #checkLimits(): void {
    const reportsLeased = this.#variant !== 'reset-zeroes-leased' && this.#variant !== 'amounts-instead-of-totals';
    for (const id of accountIds) {
      const admitted = this.#admitted.get(id) ?? 0;
      const most = (this.#limit.get(id) ?? 0) + (this.#bound.get(id) ?? 0);
      if (admitted > most) this.#fail('overrun', `${id}: ${admitted} admitted, ${most} allowed`);
      if (!reportsLeased) continue;
      let outstanding = 0;
      for (const { slices } of this.#database.logs.values()) outstanding += outstandingOf(slices.get(id));
      const leased = this.#database.accounts.get(id)?.leased;
      if (leased !== outstanding) this.#fail('leased', `${id}: ${leased} leased, ${outstanding} outstanding`);
    }
  }

  #checkLedger(): void {
    const seen = new Map<number, number>();
    for (const { id } of this.#database.entries) seen.set(id, (seen.get(id) ?? 0) + 1);
    let sum = 0;
    for (const [id, cost] of this.#due) {
      const times = seen.get(id) ?? 0;
      if (times === 0) this.#fail('lost', `request ${id}, cost ${cost}`);
      if (times > 1) this.#fail('doubled', `request ${id}, ${times} times`);
      sum += cost;
    }
    for (const id of seen.keys()) if (!this.#due.has(id)) this.#fail('invented', `request ${id}`);
    for (const id of this.#upstream) if (!seen.has(id)) this.#fail('unbilled', `request ${id}`);
    for (const [id, { leased }] of this.#database.accounts) {
      if (leased !== 0) this.#fail('stuck', `${id}: ${leased} leased after the last log`);
    }
    const lifetime = this.#database.accounts.get(everything)?.lifetime;
    if (lifetime !== sum) this.#fail('ledger', `${lifetime} counted, ${sum} spent`);
  }

  #fail(fault: Fault, detail: string): never {
    throw new HistoryFailed(fault, `seed ${this.#seed}, ${detail}, ${JSON.stringify(this.#mode)}`);
  }
}

const outstandingOf = (slice: TwinLog['slices'] extends Map<string, infer S> ? S | undefined : never): number =>
  slice === undefined ? 0 : slice.granted - slice.returned - slice.spent;
