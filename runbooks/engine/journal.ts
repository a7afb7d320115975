/**
 * What happened in a run, in order. Append-only: every event has a position, and a position is taken once. So two
 * operators can never both go on with one run, and whoever reads the journal knows as much as the one who wrote it.
 */
import { z } from 'zod';

const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const step = { step: z.string() };

const happening = z.discriminatedUnion('is', [
  z.object({
    is: z.literal('run-started'),
    book: z.string(),
    /** What the book was asked to do: regions, ways, sizes. */
    parameters: facts,
    /** For example `lab` or `aws`. */
    world: z.string(),
    operator: z.string(),
  }),
  /** Another process, or the same person later, goes on. */
  z.object({ is: z.literal('run-resumed'), operator: z.string() }),
  /** Its effect was there before the act, or an interrupted act turned out to have worked. */
  z.object({ is: z.literal('found-done'), ...step, note: z.string().optional(), facts: facts.optional() }),
  /** Written before the act: whatever happens to us now, somebody knows that it may have been done. */
  z.object({ is: z.literal('acting'), ...step }),
  z.object({ is: z.literal('acted'), ...step }),
  z.object({ is: z.literal('act-failed'), ...step, because: z.string() }),
  z.object({ is: z.literal('verified'), ...step, note: z.string().optional(), facts: facts.optional() }),
  z.object({ is: z.literal('blocked'), ...step, because: z.string(), fix: z.string().optional() }),
  z.object({ is: z.literal('declined'), ...step }),
  z.object({ is: z.literal('timed-out'), ...step, waitedFor: z.string() }),
  /** From here on it is taken back, newest step first. */
  z.object({ is: z.literal('undo-started'), operator: z.string() }),
  z.object({ is: z.literal('undoing'), ...step }),
  z.object({ is: z.literal('undone'), ...step }),
  z.object({ is: z.literal('undo-failed'), ...step, because: z.string() }),
  z.object({ is: z.literal('stopped'), because: z.string() }),
  z.object({ is: z.literal('run-completed') }),
  /** Nothing of it stands any more but what stays. */
  z.object({ is: z.literal('run-undone') }),
]);

const event = z.intersection(
  z.object({
    /** Wall clock, for people. */
    at: z.iso.datetime(),
    /** The process that wrote it, and milliseconds on its monotonic clock: exact differences within one process. */
    session: z.string(),
    monotonicMs: z.number(),
  }),
  happening,
);

export type Happening = z.output<typeof happening>;
export type JournalEvent = z.output<typeof event>;

/** Where a run's events are kept. Must not be only in the region that fails, nor only on one laptop. */
export interface Journal {
  /** In order. Empty for a run that nobody began. */
  read(): Promise<readonly JournalEvent[]>;
  /**
   * Durable when it resolves.
   * @param position number of events before it.
   * @throws PositionTaken when another process has written there, JournalAway when it cannot be kept.
   */
  append(position: number, event: JournalEvent): Promise<void>;
}

/** Where the journals of all runs are kept. */
export interface Journals {
  of(runId: string): Journal;
  /** Ids of the runs that were begun, oldest first: an id begins with its time. */
  runs(): Promise<readonly string[]>;
}

/** Somebody else goes on with this run. */
export class PositionTaken extends Error {
  constructor(position: number) {
    super(
      `Another process has written event ${position + 1} of this run. It has the run now; look at its journal before you do anything`,
    );
    this.name = 'PositionTaken';
  }
}

/** The journal takes no event any more: nothing further may be done, since nobody could tell afterwards. */
export class JournalAway extends Error {
  /** False = not even the run's beginning was written, so nothing was changed. */
  readonly hasBegun: boolean;

  constructor(hasBegun: boolean, because: string) {
    super(`The journal cannot be written: ${because}`);
    this.name = 'JournalAway';
    this.hasBegun = hasBegun;
  }
}

/** A journal that cannot be trusted: stopping is safer than guessing what was done. */
export class JournalBroken extends Error {
  constructor(position: number, because: string) {
    super(`Event ${position + 1} of the journal cannot be read: ${because}`);
    this.name = 'JournalBroken';
  }
}

/** @throws JournalBroken */
export function parseEvent(position: number, text: string): JournalEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new JournalBroken(position, error instanceof Error ? error.message : String(error));
  }
  const parsed = event.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new JournalBroken(position, z.prettifyError(parsed.error));
}

/** In memory, for rehearsals of the engine itself and for tests. */
export class MemoryJournal implements Journal {
  readonly #events: JournalEvent[] = [];

  async read(): Promise<readonly JournalEvent[]> {
    return [...this.#events];
  }

  async append(position: number, appended: JournalEvent): Promise<void> {
    if (position !== this.#events.length) throw new PositionTaken(position);
    this.#events.push(appended);
  }
}
