/** A world whose effects take time to show, and a clock that only waits when told. */

import type { Journal, JournalEvent } from '../../../runbooks/engine/journal.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import type { Clock } from '../../../runbooks/engine/recorder.ts';
import type { RunOptions } from '../../../runbooks/engine/run.ts';
import type { Runbook, Step, Verdict } from '../../../runbooks/engine/step.ts';

/** What each step has brought about; an effect is under way for as many looks as `looksUntilDone` says. */
export class EffectWorld {
  readonly acts = new Map<string, number>();
  readonly undos = new Map<string, number>();
  readonly #looksLeft = new Map<string, number>();

  act(id: string, looksUntilDone: number): void {
    this.acts.set(id, (this.acts.get(id) ?? 0) + 1);
    this.#looksLeft.set(id, looksUntilDone);
  }

  undo(id: string): void {
    this.undos.set(id, (this.undos.get(id) ?? 0) + 1);
    this.#looksLeft.delete(id);
  }

  look(id: string): Verdict {
    const left = this.#looksLeft.get(id);
    if (left === undefined) return { is: 'ready' };
    if (left === 0) return { is: 'done', facts: { seen: id } };
    this.#looksLeft.set(id, left - 1);
    return { is: 'underway', note: `${left} looks left` };
  }

  /** Steps whose effect is there. */
  get done(): string[] {
    return [...this.#looksLeft].filter(([, left]) => left === 0).map(([id]) => id);
  }
}

export function effectStep(id: string, looksUntilDone = 1, more: Partial<Step<EffectWorld>> = {}): Step<EffectWorld> {
  return {
    id,
    title: `Bring about ${id}`,
    words: { check: `is ${id} there?`, act: `bring about ${id}` },
    patienceSeconds: 60,
    check: async (world) => world.look(id),
    act: async (world) => world.act(id, looksUntilDone),
    undo: async (world) => world.undo(id),
    ...more,
  };
}

export const bookOf = <World>(...steps: Step<World>[]): Runbook<World> => ({
  id: 'test-book',
  title: 'Test book',
  useWhen: ['testing'],
  doNotUseWhen: ['not testing'],
  lookFirst: [{ command: 'look', expect: 'something to test' }],
  takes: 'no time',
  harms: 'nobody',
  afterwards: [],
  steps,
});

/** Time passes only in `sleep`. */
export function steppingClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    date: () => new Date(Date.UTC(2026, 0, 1) + nowMs),
    sleep: async (milliseconds, signal) => {
      signal.throwIfAborted();
      nowMs += milliseconds;
    },
  };
}

/** For worlds whose effects take real time. */
export const realClock: Clock = {
  date: () => new Date(),
  now: () => performance.now(),
  sleep: (milliseconds) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds)),
};

let sessions = 0;

export function optionsFor<World>(
  book: Runbook<World>,
  world: World,
  more: Partial<RunOptions<World>> = {},
): RunOptions<World> {
  return {
    book,
    world,
    worldName: 'test',
    journal: new MemoryJournal(),
    runId: 'run-1',
    parameters: { region: 'eu-west-1' },
    operator: 'alice',
    session: `session-${++sessions}`,
    clock: steppingClock(),
    pollSeconds: 1,
    signal: new AbortController().signal,
    confirm: async () => '',
    onEvent: () => undefined,
    onWaiting: () => undefined,
    ...more,
  };
}

export class Crash extends Error {}

/** Dies at one write: before it lands, or just after. */
export class CrashingJournal implements Journal {
  readonly #journal: Journal;
  readonly #position: number;
  readonly #when: 'before' | 'after';

  constructor(journal: Journal, position: number, when: 'before' | 'after') {
    this.#journal = journal;
    this.#position = position;
    this.#when = when;
  }

  read(): Promise<readonly JournalEvent[]> {
    return this.#journal.read();
  }

  async append(position: number, event: JournalEvent): Promise<void> {
    if (position === this.#position && this.#when === 'before') throw new Crash();
    await this.#journal.append(position, event);
    if (position === this.#position) throw new Crash();
  }
}
