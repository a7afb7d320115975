/** Budgets and rate limits out of slices: answered from memory, and from a shared call when a slice does not suffice. */
import { isDeepStrictEqual } from 'node:util';
import type { Admission, Bound, Estimate, Reservation } from '../domain/admission.ts';
import type { Scope } from '../domain/entitlements.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Caller } from '../domain/request.ts';
import type { BudgetSlices, LimitSlices, Siblings } from '../domain/slices.ts';
import { BudgetBook, type BudgetSlice } from './budget-book.ts';
import { budgetDemands, limitDemands } from './demands.ts';
import { limitHeaders } from './headers.ts';
import { withLessOutput } from './less-output.ts';
import { LimitBook } from './limit-book.ts';
import type { LimitSlice } from './limit-slice.ts';
import { type Plan, PlanCache } from './plan.ts';
import {
  type BudgetStatus,
  budgetExceeded,
  budgetUnavailable,
  limitExceeded,
  tooManyWaiting,
  unpriced,
} from './refusals.ts';
import { Counted, Held, type Holder, unbound } from './reservations.ts';
import { SingleCall } from './single-call.ts';
import { available, fits, reserveAll, settle } from './slice.ts';
import { type Waiting, WaitingRoom } from './waiting-room.ts';

export interface AdmissionSettings {
  readonly budgetExceededStatus: BudgetStatus;
  /** What happens to requests whose budget cannot be checked and whose slice is used up. */
  readonly budgetUnavailable: 'refuse' | 'share' | 'allow';
  readonly unpricedModels: 'allow' | 'refuse';
  /** A request without a maximum gets the largest that its budgets allow, instead of a refusal. */
  readonly capOutputToBudget: boolean;
  readonly shareMinimumOne: boolean;
  readonly expectedReplicas: number;
  readonly rateWindowMs: number;
  readonly slotExpiryMs: number;
}

export interface SlicedAdmissionOptions {
  readonly settings: AdmissionSettings;
  readonly budgets: BudgetSlices | undefined;
  /** Read each time, since a configuration may name another Redis. */
  readonly limits: LimitSlices | undefined;
  readonly siblings: Siblings;
  /** The budget of everything that this gateway spends. */
  readonly globalScope: Scope | undefined;
  /** Budgets and limits of a customer of a caller; a promise only when it is not known here yet. */
  readonly endUserScope: (id: string) => Scope | undefined | Promise<Scope | undefined>;
  readonly now: () => number;
  readonly wallNow: () => number;
  readonly onSoftBudget: (account: string, spentMicros: number, softMicros: number) => void;
  readonly onRefused: (reason: 'budget' | 'limit' | 'unavailable') => void;
  readonly onError: (error: Error) => void;
}

const tickEveryMs = 1_000;
/** Ticks within the expiry of a slot. */
const ticksPerExpiry = 6;

const nobody: readonly Scope[] = [];

export class SlicedAdmission implements Admission, Holder {
  readonly #options: SlicedAdmissionOptions;
  readonly #budgets: BudgetBook;
  readonly #limits: LimitBook;
  readonly #plans: PlanCache;
  readonly #budgetCall: SingleCall;
  readonly #limitCall: SingleCall;
  #settings: AdmissionSettings;
  #globalScope: Scope | undefined;
  #onlyGlobal: readonly Scope[] = nobody;
  readonly #room: WaitingRoom;
  #timer: NodeJS.Timeout | undefined;
  #tickedAtMs: number;

  constructor(options: SlicedAdmissionOptions) {
    const { settings, siblings, now, wallNow, onSoftBudget, onError } = options;
    this.#options = options;
    this.#settings = settings;
    this.reconfigure(settings, options.globalScope);
    const latest = (): AdmissionSettings => this.#settings;
    this.#budgets = new BudgetBook({ store: options.budgets, siblings, now, wallNow, onSoftBudget, onError });
    this.#limits = new LimitBook({
      get store() {
        return options.limits;
      },
      siblings,
      get expectedReplicas() {
        return latest().expectedReplicas;
      },
      get shareMinimumOne() {
        return latest().shareMinimumOne;
      },
      windowMs: settings.rateWindowMs,
      slotExpiryMs: settings.slotExpiryMs,
      now,
      wallNow,
      onError,
    });
    this.#plans = new PlanCache({ budgets: this.#budgets, limits: this.#limits });
    const room = new WaitingRoom({
      now,
      decide: (request) => this.#decide(request),
      ask: (request) => this.#askFor(request),
      giveUp: ({ plan }) => this.#unavailable(plan),
    });
    this.#room = room;
    this.#budgetCall = new SingleCall(async () => {
      await this.#budgets.call(budgetDemands(room.waiting));
      room.review();
    });
    this.#limitCall = new SingleCall(async () => {
      await this.#limits.call(limitDemands(room.waiting));
      room.review();
    });
    this.#tickedAtMs = now();
  }

  /** Goes on under another configuration; windows and the expiry of slots stay what they were. */
  reconfigure(settings: AdmissionSettings, globalScope: Scope | undefined): void {
    this.#settings = settings;
    if (isDeepStrictEqual(globalScope, this.#globalScope)) return;
    this.#globalScope = globalScope;
    this.#onlyGlobal = globalScope === undefined ? nobody : [globalScope];
  }

  /** Calls to PostgreSQL and to Redis so far. */
  get calls(): { readonly budgets: number; readonly limits: number } {
    return { budgets: this.#budgets.calls, limits: this.#limits.calls };
  }

  /** Set aside for requests that run, over all budgets and limits; 0 when none does. */
  get reserved(): number {
    return this.#budgets.reserved + this.#limits.reserved;
  }

  /** Renewals and returns in the background. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), Math.min(tickEveryMs, this.#settings.slotExpiryMs / ticksPerExpiry));
    this.#timer.unref();
  }

  /** Ends the background work; what is held stays held until `close` or the end of its log. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Gives everything back. Call when no request runs any more; takes no longer than one call to each store. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([this.#budgetCall.ask(), this.#limitCall.ask()]);
    this.#budgets.giveBackAll();
    this.#limits.giveBackAll();
    await Promise.all([this.#budgets.down ? undefined : this.#budgetCall.ask(), this.#limitCall.ask()]);
  }

  admit<Request extends Bound>(
    request: Request,
    caller: Caller,
    group: string,
    estimate: (request: Request, group: string) => Estimate,
    signal: AbortSignal,
  ): Reservation | Promise<Reservation> {
    const scopes = this.#scopesOf(caller);
    if (request.endUser !== undefined) {
      const endUser = this.#options.endUserScope(request.endUser);
      if (endUser instanceof Promise) {
        return endUser.then((scope) =>
          this.#admit(request, caller, this.#plus(scopes, scope), group, estimate, signal),
        );
      }
      return this.#admit(request, caller, this.#plus(scopes, endUser), group, estimate, signal);
    }
    return this.#admit(request, caller, scopes, group, estimate, signal);
  }

  #admit<Request extends Bound>(
    request: Request,
    caller: Caller,
    scopes: readonly Scope[],
    group: string,
    estimator: (request: Request, group: string) => Estimate,
    signal: AbortSignal,
  ): Reservation | Promise<Reservation> {
    if (scopes.length === 0) return unbound;
    const plan = this.#plans.plan(scopes, group, caller.role !== 'admin');
    if (plan.budgets.length === 0 && plan.limitLines.length === 0) return new Counted(plan.accounts);
    const estimate = estimator(request, group);
    if (estimate.micros === undefined && plan.budgets.length > 0 && this.#settings.unpricedModels === 'refuse') {
      throw unpriced(request.model);
    }
    return this.#tryReserve(plan, estimate) ?? this.#decideOrWait(plan, estimate, signal);
  }

  /** Together or not at all, and without an await in between. */
  #tryReserve(plan: Plan, estimate: Estimate): Reservation | undefined {
    const micros = estimate.micros ?? 0;
    if (plan.budgets.length > 0 && (!this.#budgets.usable || !fits(plan.budgets, micros))) return undefined;
    return this.#limitsFit(plan, estimate.tokens) ? this.#reserve(plan, estimate) : undefined;
  }

  #limitsFit(plan: Plan, tokens: number): boolean {
    if (plan.limitLines.length === 0) return true;
    const nowMs = this.#options.now();
    return (
      this.#allFit(plan.requests, 1, nowMs) &&
      this.#allFit(plan.tokens, tokens, nowMs) &&
      this.#allFit(plan.slots, 1, nowMs)
    );
  }

  #allFit(slices: readonly LimitSlice[], amount: number, nowMs: number): boolean {
    for (let index = 0; index < slices.length; index++) {
      const slice = slices[index];
      if (slice !== undefined && !this.#limits.fits(slice, amount, nowMs)) return false;
    }
    return true;
  }

  #reserve(plan: Plan, estimate: Estimate): Reservation {
    const micros = estimate.micros ?? 0;
    reserveAll(plan.budgets, micros);
    for (let index = 0; index < plan.budgets.length; index++) {
      const slice = plan.budgets[index];
      if (slice !== undefined) this.#budgets.touch(slice);
    }
    if (plan.limitLines.length > 0) {
      let low = false;
      for (const slice of plan.requests) low = this.#take(slice, 1) || low;
      for (const slice of plan.tokens) low = this.#take(slice, estimate.tokens) || low;
      for (const slice of plan.slots) low = this.#take(slice, 1) || low;
      if (low && !this.#limits.down) void this.#limitCall.ask();
    }
    const capped =
      this.#settings.capOutputToBudget && plan.budgets.length > 0 ? estimate.openOutput?.tokens : undefined;
    return new Held(this, plan, micros, estimate.tokens, this.#limits.nextSerial(), capped);
  }

  #take(slice: LimitSlice, amount: number): boolean {
    this.#limits.reserve(slice, amount);
    return slice.low;
  }

  /** Once for each reservation. */
  release(plan: Plan, micros: number, tokens: number, serial: number, cost: number, usedTokens: number): void {
    for (let index = 0; index < plan.budgets.length; index++) {
      const slice = plan.budgets[index];
      if (slice === undefined) continue;
      settle(slice, micros, cost);
      slice.pace.add(cost);
      this.#budgets.touch(slice);
    }
    let tell = false;
    for (let index = 0; index < plan.tokens.length; index++) {
      const slice = plan.tokens[index];
      // What was set aside in a window that is over went with it.
      if (slice === undefined || serial <= slice.resetSerial) continue;
      tell = this.#limits.settle(slice, tokens, usedTokens) || tell;
    }
    for (let index = 0; index < plan.slots.length; index++) {
      const slice = plan.slots[index];
      if (slice !== undefined) tell = this.#limits.release(slice) || tell;
    }
    if (tell) void this.#limitCall.ask();
    // In a share nobody else has, whoever waits may go on; with Redis the call's end looks after them.
    this.#room.review();
  }

  headers(plan: Plan): readonly string[] {
    return limitHeaders(plan, this.#options.now());
  }

  #decideOrWait(plan: Plan, estimate: Estimate, signal: AbortSignal): Reservation | Promise<Reservation> {
    const waiting = { plan, estimate };
    const decided = this.#decide(waiting);
    if (decided instanceof Error) throw decided;
    if (decided !== undefined) return decided;
    if (signal.aborted) throw signal.reason;
    if (this.#room.isFull) {
      this.#options.onRefused('unavailable');
      throw tooManyWaiting();
    }
    return this.#room.wait(waiting, signal);
  }

  /**
   * Each store is asked only when something of its own is missing: keys without budgets never notice a lost database.
   * One that is away is not asked here, or the turn that asks again would never end; the tick looks after it.
   */
  #askFor({ plan, estimate }: Waiting): void {
    const micros = estimate.micros ?? 0;
    if (!this.#budgets.down && plan.budgets.length > 0 && (!this.#budgets.usable || !fits(plan.budgets, micros))) {
      void this.#budgetCall.ask();
    }
    if (!this.#limits.down && !this.#limitsFit(plan, estimate.tokens)) void this.#limitCall.ask();
  }

  /** @returns undefined when it cannot be said yet. */
  #decide(entry: Waiting): Reservation | Refusal | undefined {
    const { plan } = entry;
    const { now, wallNow, onRefused } = this.#options;
    const settings = this.#settings;
    for (const line of plan.budgetLines) {
      const verdict = this.#ofBudget(line.slice, entry.estimate.micros ?? 0);
      if (verdict === 'unavailable') {
        onRefused('unavailable');
        return budgetUnavailable(line.scope);
      }
      if (verdict === 'exhausted') {
        const smaller = settings.capOutputToBudget ? withLessOutput(entry.estimate, plan) : undefined;
        if (smaller === undefined) {
          onRefused('budget');
          return budgetExceeded(line, entry.estimate.micros ?? 0, settings.budgetExceededStatus);
        }
        return this.#decideSmaller(entry, smaller);
      }
      // The first level is to be named, so the next ones wait for what this one says.
      if (verdict === 'ask') return undefined;
    }
    const nowMs = now();
    for (const line of plan.limitLines) {
      const amount = line.slice.kind === 'tokens' ? entry.estimate.tokens : 1;
      if (this.#limits.fits(line.slice, amount, nowMs)) continue;
      if (!this.#limits.isRefused(line.slice, amount, nowMs)) return undefined;
      onRefused('limit');
      return limitExceeded(line, nowMs, wallNow());
    }
    return this.#reserve(plan, entry.estimate);
  }

  #decideSmaller(entry: Waiting, smaller: Estimate): Reservation | Refusal | undefined {
    entry.estimate = smaller;
    return this.#decide(entry);
  }

  #ofBudget(slice: BudgetSlice, micros: number): 'fits' | 'exhausted' | 'unavailable' | 'ask' {
    if (this.#budgets.usable && available(slice) >= micros) return 'fits';
    if (this.#budgets.down || slice.missing) {
      switch (this.#settings.budgetUnavailable) {
        case 'allow':
          return 'fits';
        case 'share':
          return this.#budgets.usable && this.#budgets.borrow(slice, micros) ? 'fits' : 'unavailable';
        case 'refuse':
          return 'unavailable';
      }
    }
    return this.#budgets.isRefused(slice, micros) ? 'exhausted' : 'ask';
  }

  #unavailable(plan: Plan): Refusal {
    this.#options.onRefused('unavailable');
    const [first] = plan.budgetLines;
    return first === undefined ? tooManyWaiting() : budgetUnavailable(first.scope);
  }

  #scopesOf(caller: Caller): readonly Scope[] {
    const { scopes } = caller;
    const globalScope = this.#globalScope;
    if (scopes === undefined || scopes.length === 0) return this.#onlyGlobal;
    return globalScope === undefined ? scopes : this.#plans.with(scopes, globalScope);
  }

  #plus(scopes: readonly Scope[], endUser: Scope | undefined): readonly Scope[] {
    return endUser === undefined ? scopes : this.#plans.with(scopes, endUser);
  }

  #tick(): void {
    const nowMs = this.#options.now();
    const elapsedSeconds = Math.max(0.001, (nowMs - this.#tickedAtMs) / 1000);
    this.#tickedAtMs = nowMs;
    if (this.#budgets.tick(elapsedSeconds)) void this.#budgetCall.ask();
    if (this.#limits.tick(elapsedSeconds)) void this.#limitCall.ask();
    this.#room.review();
  }
}
