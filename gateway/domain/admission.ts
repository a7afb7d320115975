/** May this request run? Asked before anything is spent, answered from memory nearly always. */
import type { Caller, ModelRequest } from './request.ts';

/** The most that a request can use, stated before it runs. */
export interface Estimate {
  /** Millionths of a US dollar; undefined = a price is unknown. */
  readonly micros: number | undefined;
  readonly tokens: number;
  /** The part of it that nobody has limited yet: set when the request states no maximum for its output. */
  readonly openOutput?: {
    readonly tokens: number;
    /** Of all choices together. */
    readonly microsPerToken: number;
  };
}

/** @param group the model group that the request starts with; its fallbacks count, too. */
export type Estimator = (request: ModelRequest, group: string) => Estimate;

/** What was set aside for a request. Settled exactly once, however the request ends; a second call is ignored. */
export interface Reservation {
  /** 0 when nothing limits the caller's money. */
  readonly reservedMicros: number;
  /** Every account that the request's cost is counted for, limited or not. */
  readonly accounts: readonly string[];
  /** Set when the request may run only with so much output. */
  readonly maxOutputTokens: number | undefined;
  /**
   * @param costMicros null = unknown: counted as nothing now, and booked when it is priced.
   * @param tokens null = unknown: what was set aside counts.
   */
  settle(costMicros: number | null, tokens: number | null): void;
  /** What a client is told of its limits and its spend: names and values in turn. Undefined = it has none. */
  headers(): readonly string[] | undefined;
}

/** As much of a request as decides what binds it. */
export type Bound = Pick<ModelRequest, 'model' | 'endUser'>;

export interface Admission {
  /**
   * Sets aside what the request may use, on every level or on none. A promise only when slices have to be renewed.
   * @param group the model group that the request starts with.
   * @param estimate asked only when something limits the caller.
   * @param signal ends the wait for slices; its reason is thrown.
   * @throws Refusal 429 for a limit or a budget, naming the first level that refuses; 503 when it cannot be said.
   */
  admit<Request extends Bound>(
    request: Request,
    caller: Caller,
    group: string,
    estimate: (request: Request, group: string) => Estimate,
    signal: AbortSignal,
  ): Reservation | Promise<Reservation>;
}
