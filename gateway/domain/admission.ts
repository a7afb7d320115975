/** May this request run? Asked before anything is spent, answered from memory nearly always. */
import type { Caller, ModelRequest } from './request.ts';

/** The most that a request can use, stated before it runs. */
export interface Estimate {
  /** Millionths of a US dollar; undefined = a price is unknown. */
  readonly micros: number | undefined;
  readonly tokens: number;
}

/** What was set aside for a request. Settled exactly once, however the request ends; a second call is ignored. */
export interface Reservation {
  /** 0 when nothing limits the caller's money. */
  readonly reservedMicros: number;
  /** Every account that the request's cost is counted for, limited or not. */
  readonly accounts: readonly string[];
  /**
   * @param costMicros null = unknown: counted as nothing now, and booked when it is priced.
   * @param tokens null = unknown: what was set aside counts.
   */
  settle(costMicros: number | null, tokens: number | null): void;
}

export interface Admission {
  /**
   * Sets aside what the request may use, on every level or on none. A promise only when slices have to be renewed.
   * @param group the model group that the request starts with.
   * @throws Refusal 429 for a limit or a budget, naming the first level that refuses; 503 when it cannot be said.
   */
  admit(request: ModelRequest, caller: Caller, group: string, estimate: Estimate): Reservation | Promise<Reservation>;
}
