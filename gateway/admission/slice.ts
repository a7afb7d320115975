/**
 * The transitions of a slice. No clock and no I/O: the gateway runs on these functions, and so does the simulation that
 * proves them over random histories of lost, late and repeated messages, crashes and resets.
 */

/** What this process holds of one account. All counters but `reserved` only grow. */
export class Slice {
  readonly id: string;
  /** All ever given to this process. */
  granted = 0;
  /** All ever given back unused. */
  returned = 0;
  /** Cost of requests that have ended. */
  used = 0;
  /** Set aside for requests that run. */
  reserved = 0;
  /** Left for anybody, by the last reply. */
  free = 0;

  constructor(id: string) {
    this.id = id;
  }
}

export const available = (slice: Slice): number => slice.granted - slice.returned - slice.used - slice.reserved;

/** Together with `reserveAll`, and nothing in between: all accounts of a request, or none. */
export function fits(slices: readonly Slice[], amount: number): boolean {
  for (let index = 0; index < slices.length; index++) {
    const slice = slices[index];
    if (slice !== undefined && available(slice) < amount) return false;
  }
  return true;
}

export function reserveAll(slices: readonly Slice[], amount: number): void {
  for (let index = 0; index < slices.length; index++) {
    const slice = slices[index];
    if (slice !== undefined) slice.reserved += amount;
  }
}

/** Never refused, since the provider has billed it: a slice may be overdrawn, and no request fits until it is not. */
export function settle(slice: Slice, amount: number, cost: number): void {
  slice.reserved -= amount;
  slice.used += cost;
}

/** First here, then told: a request must not use what is on its way back. @returns how much. */
export function giveBack(slice: Slice, amount = available(slice)): number {
  const given = Math.max(0, Math.min(amount, available(slice)));
  slice.returned += given;
  return given;
}

/** The total that `granted` must reach so that `needed` fits; 0 when it does already. */
export function wantOf(slice: Slice, needed: number): number {
  const short = needed - available(slice);
  return short > 0 ? slice.granted + short : 0;
}

/** @param granted total; an older reply than the last one changes nothing. */
export function applyGrant(slice: Slice, granted: number, free: number): void {
  if (granted > slice.granted) slice.granted = granted;
  slice.free = free;
}

/** By the last reply nobody has what is missing. Otherwise it is worth asking again. */
export const isExhausted = (slice: Slice, amount: number): boolean => {
  const short = amount - available(slice);
  return short > 0 && slice.free < short;
};

/** Under a new log nothing is held, and what runs is still to be covered. */
export function startOver(slice: Slice): void {
  slice.granted = 0;
  slice.returned = 0;
  slice.used = 0;
  slice.free = 0;
}
