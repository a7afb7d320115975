/** Writes a run's events, each with its time, and remembers them: the only way into a journal. */
import type { Happening, Journal, JournalEvent } from './journal.ts';

/** Injected, so that tests need not wait. */
export interface Clock {
  /** Wall clock. */
  readonly date: () => Date;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** @throws the signal's reason when it fires first. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export class Recorder {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #session: string;
  readonly #onEvent: (event: JournalEvent) => void;
  readonly #events: JournalEvent[];

  constructor(
    journal: Journal,
    events: readonly JournalEvent[],
    session: string,
    clock: Clock,
    onEvent: (event: JournalEvent) => void,
  ) {
    this.#journal = journal;
    this.#events = [...events];
    this.#session = session;
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  get events(): readonly JournalEvent[] {
    return this.#events;
  }

  get session(): string {
    return this.#session;
  }

  /** @throws PositionTaken when another process has the run, JournalAway when the event could not be kept. */
  async write(happening: Happening): Promise<void> {
    const event: JournalEvent = {
      at: this.#clock.date().toISOString(),
      session: this.#session,
      monotonicMs: Math.round(this.#clock.now()),
      ...happening,
    };
    await this.#journal.append(this.#events.length, event);
    this.#events.push(event);
    this.#onEvent(event);
  }
}
