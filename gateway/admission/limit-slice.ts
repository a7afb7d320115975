/** What this process holds of a rate limit: a slice that ends with its window, or slots that are held and given back. */

import { Pace } from './pace.ts';
import { applyGrant, available, giveBack, Slice } from './slice.ts';

export type LimitKind = 'requests' | 'tokens' | 'parallel';

/** No window is known yet. */
const noWindow = -1;

export class LimitSlice extends Slice {
  readonly kind: LimitKind;
  limit: number;
  /** Number of the window that the totals belong to. Slots have none. */
  window = noWindow;
  /** Monotonic, milliseconds: until then what is held may be used. */
  usableUntilMs = Number.NEGATIVE_INFINITY;
  /** When the window ends, as far as it is known; monotonic. */
  endsAtMs = 0;
  /** Reservations with this number or a lower one are of a window that is over. */
  resetSerial = 0;
  repliedAtMs = Number.NEGATIVE_INFINITY;
  readonly pace = new Pace();
  touched = false;
  idle = 0;
  active = false;
  dirty = false;
  /** Shall be filled up in the background. */
  low = false;
  /** Below it, that is worth doing. */
  lowBelow = 0;

  constructor(id: string, kind: LimitKind, limit: number) {
    super(id);
    this.kind = kind;
    this.limit = limit;
  }
}

/** A new window: what was set aside and used belongs to the one before. @param serial of the newest reservation. */
export function beginWindow(slice: LimitSlice, window: number, serial: number): void {
  slice.window = window;
  slice.granted = 0;
  slice.returned = 0;
  slice.used = 0;
  slice.reserved = 0;
  slice.free = 0;
  slice.resetSerial = serial;
}

/** More was used than was granted, as a low estimate does: that is claimed, so that nobody else gets it. */
export function claimOverdraft(slice: LimitSlice): void {
  const over = -available(slice);
  if (over > 0) slice.granted += over;
}

export interface LimitGrant {
  readonly window: number;
  readonly granted: number;
  readonly free: number;
  readonly leftMs: number;
}

/** @param sentAtMs when the claim left; the grant is good from then on, so that no clock but this process's matters. */
export function applyLimitGrant(slice: LimitSlice, grant: LimitGrant, sentAtMs: number, serial: number): void {
  if (slice.kind !== 'parallel') {
    if (grant.window !== slice.window) beginWindow(slice, grant.window, serial);
    slice.endsAtMs = sentAtMs + grant.leftMs;
  }
  applyGrant(slice, grant.granted, grant.free);
  slice.usableUntilMs = sentAtMs + grant.leftMs;
}

/** How long a share is good before it is worked out again: processes come and go. */
const shareHoldsMs = 1_000;

/**
 * Nobody can be asked: this process keeps to its share.
 * @param wallMs tells the window.
 */
export function applyShare(
  slice: LimitSlice,
  share: number,
  windowMs: number,
  nowMs: number,
  wallMs: number,
  serial: number,
): void {
  let leftMs = shareHoldsMs;
  if (slice.kind !== 'parallel') {
    const window = Math.floor(wallMs / windowMs);
    if (window !== slice.window) beginWindow(slice, window, serial);
    leftMs = windowMs - (wallMs % windowMs);
    slice.endsAtMs = nowMs + leftMs;
  }
  const held = slice.granted - slice.returned;
  if (held < share) slice.granted += share - held;
  else giveBack(slice, held - share);
  slice.free = 0;
  slice.usableUntilMs = nowMs + Math.min(leftMs, shareHoldsMs);
  slice.repliedAtMs = nowMs;
}
