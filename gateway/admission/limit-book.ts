/** The rate limits of this process: slices of windows and of slots, from Redis, or its share while Redis is away. */
import type { LimitClaim, LimitReply, LimitSlices, Siblings } from '../domain/slices.ts';
import { applyLimitGrant, applyShare, claimOverdraft, type LimitKind, LimitSlice } from './limit-slice.ts';
import { shareOf } from './share.ts';
import { available, giveBack, isExhausted, settle, wantOf } from './slice.ts';

export interface LimitBookOptions {
  /** Undefined = there is no Redis: every process keeps to its share. */
  readonly store: LimitSlices | undefined;
  readonly siblings: Siblings;
  /** Processes to reckon with until the database has said how many live. */
  readonly expectedReplicas: number;
  /** A share is never 0, at the price of the limit when there are more processes than it allows requests. */
  readonly shareMinimumOne: boolean;
  readonly windowMs: number;
  /** Slots of a process that is not heard for so long return. */
  readonly slotExpiryMs: number;
  readonly now: () => number;
  readonly wallNow: () => number;
  readonly onError: (error: Error) => void;
}

/** Slack is what this process uses in so long. */
const slackSeconds = 0.2;
const replyHoldsMs = 100;
const claimsAtOnce = 500;
/** A slot's holder is heard so often within the expiry. */
const renewalsPerExpiry = 3;
/** Windows after which an unused slice is forgotten. */
const idleWindows = 2;

export class LimitBook {
  readonly #options: LimitBookOptions;
  readonly #slices = new Map<string, LimitSlice>();
  readonly #active = new Set<LimitSlice>();
  /** Of the newest reservation. */
  #serial = 0;
  /** Goes up when slices were forgotten: who holds on to one must look it up again. */
  generation = 0;
  /** Calls so far, for tests and measurements. */
  calls = 0;

  constructor(options: LimitBookOptions) {
    this.#options = options;
  }

  get reserved(): number {
    let sum = 0;
    for (const { reserved } of this.#slices.values()) sum += reserved;
    return sum;
  }

  /** Nobody can be asked; shares hold. */
  get down(): boolean {
    return this.#options.store?.up !== true;
  }

  /** Numbers a reservation, so that it is known of which window it is. */
  nextSerial(): number {
    return ++this.#serial;
  }

  slice(id: string, kind: LimitKind, limit: number): LimitSlice {
    let slice = this.#slices.get(id);
    if (slice === undefined) {
      slice = new LimitSlice(id, kind, limit);
      this.#slices.set(id, slice);
      this.#keepActive(slice);
    }
    slice.limit = limit;
    return slice;
  }

  /** Whether `amount` fits now. */
  fits(slice: LimitSlice, amount: number, nowMs: number): boolean {
    const isUsable = nowMs < slice.usableUntilMs || this.#refresh(slice, nowMs);
    if (isUsable && available(slice) >= amount) return true;
    // Redis went away in the middle of a window: the share may be more than what is held.
    return this.down && this.#refresh(slice, nowMs) && available(slice) >= amount;
  }

  reserve(slice: LimitSlice, amount: number): void {
    // A request counts once it is let through, however it ends.
    if (slice.kind === 'requests') slice.used += amount;
    else slice.reserved += amount;
    slice.pace.add(amount);
    slice.touched = true;
    if (!slice.active) this.#keepActive(slice);
    if (available(slice) < slice.lowBelow) slice.low = true;
  }

  /** What was set aside turns out as used. @returns whether it was more: nobody else may get that. */
  settle(slice: LimitSlice, reserved: number, used: number): boolean {
    settle(slice, reserved, used);
    if (available(slice) >= 0) return false;
    slice.dirty = true;
    return !this.down;
  }

  /** @returns whether others wait for what came free: then it should be told now. */
  release(slice: LimitSlice): boolean {
    slice.reserved -= 1;
    if (this.down || slice.free > 16 * this.#live) return false;
    if (giveBack(slice) > 0) slice.dirty = true;
    return slice.dirty;
  }

  /** By a reply that is still believed, or by this process's share, there is not enough. */
  isRefused(slice: LimitSlice, amount: number, nowMs: number): boolean {
    if (this.down) return available(slice) < amount;
    return nowMs < slice.usableUntilMs && nowMs - slice.repliedAtMs < replyHoldsMs && isExhausted(slice, amount);
  }

  /** One call for everything that is asked, low or not yet reported. Never rejects. */
  async call(demands: ReadonlyMap<LimitSlice, number>): Promise<void> {
    const { store, now, onError } = this.#options;
    if (store === undefined || !store.up) return;
    const slices = new Set(demands.keys());
    for (const slice of slices) slice.touched = true;
    for (const slice of this.#active) if (slice.dirty || slice.low) slices.add(slice);
    const all = [...slices];
    for (let from = 0; from < all.length; from += claimsAtOnce) {
      const portion = all.slice(from, from + claimsAtOnce);
      const sentAtMs = now();
      const claims = portion.map((slice) => this.#claim(slice, demands.get(slice) ?? 0, sentAtMs));
      try {
        this.calls++;
        const replies = await store.claim(claims, this.#live);
        for (const [index, slice] of portion.entries()) this.#learn(slice, claims[index], replies[index], sentAtMs);
      } catch (error) {
        onError(error instanceof Error ? error : new Error(String(error)));
        return;
      }
    }
  }

  /** @returns whether a call is worth making. */
  tick(elapsedSeconds: number): boolean {
    const { now, windowMs, slotExpiryMs } = this.#options;
    const nowMs = now();
    let wanted = false;
    for (const slice of this.#active) {
      slice.pace.tick(elapsedSeconds);
      slice.idle = slice.touched ? 0 : slice.idle + elapsedSeconds;
      slice.touched = false;
      const slack = slice.pace.perSecond * slackSeconds;
      slice.lowBelow =
        slice.free > 16 * this.#live ? Math.floor(Math.min(slack, slice.free / (4 * this.#live)) / 2) : 0;
      const excess = Math.floor(available(slice) - slack);
      if (!this.down && nowMs < slice.usableUntilMs && excess > 0 && giveBack(slice, excess) > 0) slice.dirty = true;
      const isHeld = slice.granted > slice.returned;
      if (slice.kind === 'parallel' && isHeld && nowMs - slice.repliedAtMs > slotExpiryMs / renewalsPerExpiry) {
        slice.dirty = true;
      }
      if (slice.kind !== 'parallel' && nowMs >= slice.endsAtMs) slice.dirty = false;
      wanted ||= slice.dirty;
      this.#forget(slice, (idleWindows * windowMs) / 1000);
    }
    return wanted && !this.down;
  }

  giveBackAll(): void {
    for (const slice of this.#active) if (giveBack(slice) > 0) slice.dirty = true;
  }

  get #live(): number {
    return Math.max(1, this.#options.siblings.live ?? this.#options.expectedReplicas);
  }

  /** What was held is over. @returns whether it could be renewed without asking anybody. */
  #refresh(slice: LimitSlice, nowMs: number): boolean {
    if (!this.down) {
      // Others may have these slots by now; what runs still counts.
      if (slice.kind === 'parallel') giveBack(slice);
      return false;
    }
    const { siblings, shareMinimumOne, windowMs, wallNow } = this.#options;
    const share = shareOf(
      slice.limit,
      this.#live,
      siblings.rank ?? (this.#live === 1 ? 0 : undefined),
      slice.id,
      shareMinimumOne,
    );
    applyShare(slice, share, windowMs, nowMs, wallNow(), this.#serial);
    return true;
  }

  #claim(slice: LimitSlice, needed: number, nowMs: number): LimitClaim {
    const { windowMs } = this.#options;
    const isOver = nowMs >= slice.usableUntilMs;
    claimOverdraft(slice);
    const slack = Math.ceil(slice.pace.perSecond * slackSeconds);
    // What is held of a window that may be over is no help.
    let want = isOver && slice.kind !== 'parallel' ? slice.granted + needed : wantOf(slice, needed);
    if (want === 0 && slice.low && !isOver) want = slice.granted + 1;
    return {
      key: slice.id,
      limit: slice.limit,
      windowMs: slice.kind === 'parallel' ? 0 : windowMs,
      granted: slice.granted,
      returned: slice.returned,
      want,
      slack: Math.max(0, slack - (isOver ? 0 : Math.max(0, available(slice)))),
      window: slice.window,
    };
  }

  #learn(slice: LimitSlice, claim: LimitClaim | undefined, reply: LimitReply | undefined, sentAtMs: number): void {
    if (claim === undefined || reply === undefined) return;
    applyLimitGrant(slice, reply, sentAtMs, this.#serial);
    slice.low = false;
    if (claim.returned === slice.returned) slice.dirty = false;
    slice.repliedAtMs = this.#options.now();
  }

  #keepActive(slice: LimitSlice): void {
    slice.active = true;
    this.#active.add(slice);
  }

  #forget(slice: LimitSlice, idleSeconds: number): void {
    if (slice.idle < idleSeconds) return;
    if (slice.kind === 'parallel') {
      // Redis may still know their totals; forgetting those here would make what was held once new.
      if (slice.granted > slice.returned || slice.dirty) return;
      slice.active = false;
    } else {
      this.#slices.delete(slice.id);
      this.generation++;
    }
    this.#active.delete(slice);
  }
}
