/** Requests whose slices do not suffice yet. They wait for the next answer of a store, bounded in number and in time. */
import type { Estimate, Reservation } from '../domain/admission.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Plan } from './plan.ts';

/** So many at once, and so long, whatever their own deadline is. */
const mostWaiting = 5_000;
const longestWaitMs = 5_000;

export interface Waiting {
  readonly plan: Plan;
  /** Becomes smaller where a request may be given less than it asked for. */
  estimate: Estimate;
}

interface Entry extends Waiting {
  readonly sinceMs: number;
  readonly settle: (result: Reservation | Error) => void;
}

export interface WaitingRoomOptions {
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** @returns undefined when it cannot be said yet. */
  readonly decide: (request: Waiting) => Reservation | Refusal | undefined;
  /** Has the stores asked for what the request lacks. */
  readonly ask: (request: Waiting) => void;
  /** What a request is told that has waited too long. */
  readonly giveUp: (request: Waiting) => Refusal;
}

export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  #entries: Entry[] = [];

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  get waiting(): readonly Waiting[] {
    return this.#entries;
  }

  get isFull(): boolean {
    return this.#entries.length >= mostWaiting;
  }

  /** Rejects with a refusal, or with the signal's reason. */
  wait(request: Waiting, signal: AbortSignal): Promise<Reservation> {
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        ...request,
        sinceMs: this.#options.now(),
        settle: (result) => {
          signal.removeEventListener('abort', onAbort);
          if (result instanceof Error) reject(result);
          else resolve(result);
        },
      };
      const onAbort = (): void => {
        this.#entries = this.#entries.filter((other) => other !== entry);
        entry.settle(signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason }));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#entries.push(entry);
      this.#options.ask(entry);
    });
  }

  /** After a call: whoever can go on does, whoever cannot is told, and the rest shares the next call. */
  review(): void {
    if (this.#entries.length === 0) return;
    const { now, decide, ask, giveUp } = this.#options;
    const entries = this.#entries;
    this.#entries = [];
    const nowMs = now();
    for (const entry of entries) {
      const decided = decide(entry);
      if (decided !== undefined) entry.settle(decided);
      else if (nowMs - entry.sinceMs > longestWaitMs) entry.settle(giveUp(entry));
      else {
        this.#entries.push(entry);
        ask(entry);
      }
    }
  }
}
