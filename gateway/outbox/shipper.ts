/** When a living log is shipped: soon after something was written, one batch at a time, and later after a failure. */
import type { SpendLedger } from '../domain/spend.ts';
import { largestBatch, Shipping, type ShippingEvents } from './shipping.ts';
import type { SpendLog } from './spend-log.ts';
import type { EventSource } from './stored-events.ts';

export interface ShipperOptions extends ShippingEvents {
  readonly log: SpendLog;
  /** What is sent of it. */
  readonly source: EventSource;
  readonly ledger: SpendLedger;
  readonly random: () => number;
  readonly onFailed: (error: Error) => void;
}

const shipEveryMs = 200;
const firstRetryMs = 50;
const longestRetryMs = 5_000;

/** Half of it to one and a half times: processes that failed together must not come back together. */
export const retryAfterMs = (failures: number, random: number): number =>
  Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 20), longestRetryMs) * (0.5 + random);

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #shipping: Shipping;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #failures = 0;
  #rounds = 0;
  #stopped = false;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#shipping = new Shipping(options.source, options.ledger, 0, options);
  }

  /** Counts what was sent; a position that was asked for before a later round says nothing. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Something was written. */
  wake(): void {
    if (this.#round !== undefined || this.#stopped) return;
    if (this.#timer === undefined) this.#later(shipEveryMs);
    else if (this.#failures === 0 && this.#options.log.queued === largestBatch) this.#later(0);
  }

  /** What the ledger says on other occasions; it may have lost some. */
  heard(appliedSeq: number): void {
    if (this.#round !== undefined || appliedSeq >= this.#shipping.appliedSeq) return;
    this.#shipping.appliedSeq = appliedSeq;
    this.#options.log.applied(appliedSeq, Date.now());
    this.wake();
  }

  /** Ships all there is. @returns whether the ledger has it; false when the signal fired first. */
  async drain(signal: AbortSignal): Promise<boolean> {
    while (!this.#shipping.isDone && !signal.aborted) {
      const waitMs = this.#failures === 0 ? 0 : retryAfterMs(this.#failures, this.#options.random());
      await settledWithin(new Promise<void>((resolve) => setTimeout(resolve, waitMs)), signal);
      if (!signal.aborted) await settledWithin(this.#ship(), signal);
    }
    return this.#shipping.isDone;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #later(afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#ship();
    }, afterMs).unref();
  }

  /** Never rejects. */
  #ship(): Promise<void> {
    this.#round ??= this.#shipAll().finally(() => {
      this.#round = undefined;
      if (this.#failures > 0) this.#later(retryAfterMs(this.#failures, this.#options.random()));
      else if (!this.#shipping.isDone) this.#later(shipEveryMs);
    });
    return this.#round;
  }

  async #shipAll(): Promise<void> {
    const { log, onFailed } = this.#options;
    try {
      while (!this.#shipping.isDone) {
        this.#rounds++;
        await this.#shipping.step();
        this.#failures = 0;
        log.applied(this.#shipping.appliedSeq, Date.now());
        if (log.queued < largestBatch && !this.#shipping.isNarrowing) break;
      }
    } catch (error) {
      this.#failures++;
      onFailed(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** Waits for the work or the signal, whichever is first. */
async function settledWithin(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<void>();
  const onAbort = (): void => aborted.resolve();
  signal.addEventListener('abort', onAbort);
  await Promise.race([work, aborted.promise]);
  signal.removeEventListener('abort', onAbort);
}
