/**
 * Stops asking a server that does not answer: after a few failures in a row nobody waits for it any more, until a single
 * probe has found it well.
 */

export type BreakerState = 'closed' | 'open';

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures?: number;
  /** Between two probes, milliseconds. */
  readonly probeEveryMs?: number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Told at each change and only then, so that an outage is two lines in a log. */
  readonly onChange: (state: BreakerState, error: unknown) => void;
}

export class Breaker {
  readonly #options: BreakerOptions;
  readonly #threshold: number;
  readonly #probeEveryMs: number;
  #failuresInRow = 0;
  /** Undefined = closed. */
  #nextProbeAtMs: number | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#threshold = options.failures ?? 3;
    this.#probeEveryMs = options.probeEveryMs ?? 1_000;
  }

  get state(): BreakerState {
    return this.#nextProbeAtMs === undefined ? 'closed' : 'open';
  }

  /** Whether to ask now. While open, one caller a second gets a yes: the probe, whose outcome must be told. */
  allows(): boolean {
    if (this.#nextProbeAtMs === undefined) return true;
    const nowMs = this.#options.now();
    if (nowMs < this.#nextProbeAtMs) return false;
    this.#nextProbeAtMs = nowMs + this.#probeEveryMs;
    return true;
  }

  succeeded(): void {
    this.#failuresInRow = 0;
    if (this.#nextProbeAtMs === undefined) return;
    this.#nextProbeAtMs = undefined;
    this.#options.onChange('closed', undefined);
  }

  failed(error: unknown): void {
    this.#failuresInRow++;
    if (this.#nextProbeAtMs !== undefined) {
      this.#nextProbeAtMs = this.#options.now() + this.#probeEveryMs;
      return;
    }
    if (this.#failuresInRow < this.#threshold) return;
    this.#nextProbeAtMs = this.#options.now() + this.#probeEveryMs;
    this.#options.onChange('open', error);
  }
}
