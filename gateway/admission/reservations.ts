/** What a request holds while it runs, settled exactly once. */
import type { Reservation } from '../domain/admission.ts';
import type { Plan } from './plan.ts';

/** Who gave a reservation, and takes it back. */
export interface Holder {
  /** @param serial tells in which windows it was given. */
  release(plan: Plan, micros: number, tokens: number, serial: number, cost: number, usedTokens: number): void;
  headers(plan: Plan): readonly string[];
}

export class Held implements Reservation {
  readonly reservedMicros: number;
  readonly maxOutputTokens: number | undefined;
  readonly #holder: Holder;
  readonly #plan: Plan;
  readonly #tokens: number;
  readonly #serial: number;
  #settled = false;

  constructor(
    holder: Holder,
    plan: Plan,
    micros: number,
    tokens: number,
    serial: number,
    maxOutputTokens: number | undefined,
  ) {
    this.#holder = holder;
    this.#plan = plan;
    this.reservedMicros = micros;
    this.#tokens = tokens;
    this.#serial = serial;
    this.maxOutputTokens = maxOutputTokens;
  }

  get accounts(): readonly string[] {
    return this.#plan.accounts;
  }

  settle(costMicros: number | null, tokens: number | null): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#holder.release(
      this.#plan,
      this.reservedMicros,
      this.#tokens,
      this.#serial,
      costMicros ?? 0,
      tokens ?? this.#tokens,
    );
  }

  headers(): readonly string[] {
    return this.#holder.headers(this.#plan);
  }
}

/** Nothing limits it; its cost is counted all the same. */
export class Counted implements Reservation {
  readonly reservedMicros = 0;
  readonly maxOutputTokens = undefined;
  readonly accounts: readonly string[];

  constructor(accounts: readonly string[]) {
    this.accounts = accounts;
  }

  settle(): void {}

  headers(): undefined {
    return undefined;
  }
}

/** Nothing binds it and nobody counts it. */
export const unbound: Reservation = new Counted([]);
