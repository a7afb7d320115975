/** The budgets of this process: which slices it holds, when it asks for more, and when it gives back. */
import type { BudgetAccount } from '../domain/entitlements.ts';
import { type BudgetClaim, type BudgetReply, type BudgetSlices, LogClosed, type Siblings } from '../domain/slices.ts';
import { Pace } from './pace.ts';
import { applyGrant, available, giveBack, isExhausted, Slice, startOver, wantOf } from './slice.ts';

export interface BudgetBookOptions {
  /** Undefined = there is no database: no budget can be kept. */
  readonly store: BudgetSlices | undefined;
  readonly siblings: Siblings;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Wall clock, milliseconds. */
  readonly wallNow: () => number;
  /** More than `softMicros` of an account is spent; told once in a window. */
  readonly onSoftBudget: (account: string, spentMicros: number, softMicros: number) => void;
  readonly onError: (error: Error) => void;
}

/** What waiting requests need of an account: all together, and the largest of them. */
export interface Demand {
  sum: number;
  ticket: number;
}

/** Slack is what this process spends in so long: it carries an outage of the database of this length. */
const slackSeconds = 60;
const idleSeconds = 60;
/** While less than the slack is left for all, nobody keeps what it does not need. */
const idleSecondsWhenTight = 1;
/** After this time without the database, somebody may have given this process up. Its log is closed after 24 hours. */
const longestSilenceMs = 12 * 3_600_000;
/** A reply is believed for so long: a client in a loop must not turn every request into a call. */
export const replyHoldsMs = 100;
/** Accounts in one call. */
const claimsAtOnce = 500;

export class BudgetSlice extends Slice {
  softMicros: number | undefined;
  maxMicros: number;
  /** In this window, by the last reply; own use since then comes on top. */
  spent = 0;
  usedAtReply = 0;
  repliedAtMs = Number.NEGATIVE_INFINITY;
  /** Wall clock; 0 = no window. */
  windowEndsAtMs = 0;
  alertedWindowMs = -1;
  /** The database does not know the account. */
  missing = false;
  readonly pace = new Pace();
  ticket = 1;
  touched = false;
  idle = 0;
  active = false;
  /** Something was given back that the database has not heard of. */
  dirty = false;
  /** Shall be filled up in the background. */
  low = false;

  constructor(account: BudgetAccount) {
    super(account.id);
    this.maxMicros = account.maxMicros;
    this.softMicros = account.softMicros;
  }

  /** In this window, with everything known here. */
  get spentMicros(): number {
    return this.spent + this.used - this.usedAtReply;
  }
}

export class BudgetBook {
  readonly #options: BudgetBookOptions;
  /** Never forgotten: without its totals, what a process once held could be taken for new. About 300 bytes each. */
  readonly #slices = new Map<string, BudgetSlice>();
  readonly #active = new Set<BudgetSlice>();
  #logId: string;
  #lastContact: { readonly ms: number; readonly wallMs: number };
  #silent = false;
  #down = false;
  /** Calls so far, for tests and measurements. */
  calls = 0;

  constructor(options: BudgetBookOptions) {
    this.#options = options;
    this.#logId = options.siblings.logId;
    this.#lastContact = { ms: options.now(), wallMs: options.wallNow() };
    this.#down = options.store === undefined;
  }

  get reserved(): number {
    let sum = 0;
    for (const { reserved } of this.#slices.values()) sum += reserved;
    return sum;
  }

  /** The database did not answer when it was last asked. */
  get down(): boolean {
    return this.#down;
  }

  /** False when this process may have been given up: then what it holds may be somebody else's. */
  get usable(): boolean {
    return !this.#silent;
  }

  slice(account: BudgetAccount): BudgetSlice {
    let slice = this.#slices.get(account.id);
    if (slice === undefined) {
      slice = new BudgetSlice(account);
      this.#slices.set(account.id, slice);
    }
    slice.softMicros = account.softMicros;
    slice.maxMicros = account.maxMicros;
    return slice;
  }

  touch(slice: BudgetSlice): void {
    slice.touched = true;
    this.#watch(slice);
  }

  /** Whatever holds something is looked after, until it holds nothing. */
  #watch(slice: BudgetSlice): void {
    if (slice.active) return;
    slice.active = true;
    this.#active.add(slice);
  }

  /** By a reply that is still believed, there is not enough for anybody. */
  isRefused(slice: BudgetSlice, amount: number): boolean {
    return this.#options.now() - slice.repliedAtMs < replyHoldsMs && isExhausted(slice, amount);
  }

  /** Without the database: a part of what was free when it was last heard. @returns whether `amount` fits now. */
  borrow(slice: BudgetSlice, amount: number): boolean {
    const short = amount - available(slice);
    if (short <= 0) return true;
    const live = this.#options.siblings.live ?? 1;
    if (short * live > slice.free) return false;
    applyGrant(slice, slice.granted + short, slice.free - short * live);
    return true;
  }

  /** One call for everything that is asked, low or not yet reported. Never rejects. */
  async call(demands: ReadonlyMap<BudgetSlice, Demand>): Promise<void> {
    const { store, siblings } = this.#options;
    if (store === undefined) return;
    this.#followLog();
    for (const claims of this.#claims(demands)) {
      try {
        this.calls++;
        const replies = await store.grant(siblings.logId, claims);
        this.#down = false;
        this.#silent = false;
        this.#lastContact = { ms: this.#options.now(), wallMs: this.#options.wallNow() };
        this.#learn(claims, replies);
      } catch (error) {
        this.#down = true;
        // What this process held was returned by whoever closed its log; the heartbeat brings the new one.
        if (error instanceof LogClosed) this.#silent = true;
        this.#options.onError(error instanceof Error ? error : new Error(String(error)));
        return;
      }
    }
  }

  /** @returns whether a call is worth making. */
  tick(elapsedSeconds: number): boolean {
    const { now, wallNow } = this.#options;
    const silentMs = Math.max(now() - this.#lastContact.ms, wallNow() - this.#lastContact.wallMs);
    if (silentMs > longestSilenceMs) this.#silent = true;
    let wanted = this.#down && this.#options.store !== undefined;
    for (const slice of this.#active) {
      slice.pace.tick(elapsedSeconds);
      slice.idle = slice.touched ? 0 : slice.idle + elapsedSeconds;
      slice.touched = false;
      this.#level(slice);
      wanted ||= slice.dirty || slice.low;
      if (slice.idle > idleSeconds && !slice.dirty && slice.reserved === 0) {
        slice.active = false;
        this.#active.delete(slice);
      }
    }
    return wanted;
  }

  /** Before the end: nothing is kept. */
  giveBackAll(): void {
    for (const slice of this.#active) {
      slice.low = false;
      if (giveBack(slice) > 0) slice.dirty = true;
    }
  }

  #level(slice: BudgetSlice): void {
    const slack = slice.pace.perSecond * slackSeconds;
    // The same bound as that of the database for granting slack.
    const tight = slice.free < Math.max(slack, 16 * (this.#options.siblings.live ?? 1) * slice.ticket);
    if (slice.idle >= (tight ? idleSecondsWhenTight : idleSeconds)) {
      if (giveBack(slice) > 0) slice.dirty = true;
    } else if (slice.idle === 0 && !tight && available(slice) < slack / 2) {
      slice.low = true;
    }
  }

  #followLog(): void {
    const { logId } = this.#options.siblings;
    if (logId === this.#logId) return;
    this.#logId = logId;
    for (const slice of this.#slices.values()) {
      startOver(slice);
      slice.usedAtReply = 0;
      slice.repliedAtMs = Number.NEGATIVE_INFINITY;
    }
  }

  /** In portions, and at least one: an empty call asks whether the database is there. */
  *#claims(demands: ReadonlyMap<BudgetSlice, Demand>): Generator<BudgetClaim[]> {
    let claims: BudgetClaim[] = [];
    const slices = new Set(demands.keys());
    for (const slice of this.#active) if (slice.dirty || slice.low) slices.add(slice);
    for (const slice of slices) {
      const demand = demands.get(slice);
      if (demand !== undefined) slice.ticket = demand.ticket;
      const slack = Math.max(0, Math.ceil(slice.pace.perSecond * slackSeconds) - available(slice));
      let want = demand === undefined ? 0 : wantOf(slice, demand.sum);
      if (want === 0 && slice.low) want = slice.granted + 1;
      if (want === 0 && !slice.dirty) continue;
      claims.push({
        account: slice.id,
        granted: slice.granted,
        returned: slice.returned,
        want,
        ticket: Math.max(1, slice.ticket),
        slack,
      });
      if (claims.length === claimsAtOnce) {
        yield claims;
        claims = [];
      }
    }
    if (claims.length > 0 || slices.size === 0 || this.#silent) yield claims;
  }

  #learn(claims: readonly BudgetClaim[], replies: readonly BudgetReply[]): void {
    const { now, wallNow, onSoftBudget } = this.#options;
    const byAccount = new Map(replies.map((reply) => [reply.account, reply]));
    for (const claim of claims) {
      const slice = this.#slices.get(claim.account);
      const reply = byAccount.get(claim.account);
      if (slice === undefined) continue;
      slice.missing = reply === undefined;
      slice.low = false;
      if (reply === undefined) {
        slice.dirty = false;
        continue;
      }
      applyGrant(slice, reply.granted, reply.free);
      this.#watch(slice);
      // What was given back while the call was under way is still to be told.
      if (claim.returned === slice.returned) slice.dirty = false;
      slice.spent = reply.spent;
      slice.usedAtReply = slice.used;
      slice.repliedAtMs = now();
      if (reply.max !== undefined) slice.maxMicros = reply.max;
      const endsAtMs = reply.windowMs === undefined ? 0 : wallNow() + reply.windowMs;
      // The same window's end is computed anew each time, so it wavers.
      if (Math.abs(endsAtMs - slice.windowEndsAtMs) > 1_000) slice.windowEndsAtMs = endsAtMs;
      const { softMicros } = slice;
      if (softMicros !== undefined && reply.spent >= softMicros && slice.alertedWindowMs !== slice.windowEndsAtMs) {
        slice.alertedWindowMs = slice.windowEndsAtMs;
        onSoftBudget(slice.id, reply.spent, softMicros);
      }
    }
  }
}
