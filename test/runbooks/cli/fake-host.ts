/** A machine for the runbook commands: simulated world, journals of the test's choice, a person who types. */
import type { Host, NamedJournals } from '../../../bin/runbook/host.ts';
import platform from '../../../holdfast.config.ts';
import type { Evidence } from '../../../lib/platform/evidence.ts';
import type { Journals } from '../../../runbooks/engine/journal.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import type { SimulatedWorld } from '../books/simulated-world.ts';
import { steppingClock } from '../engine/world.ts';

export class MemoryJournals implements Journals {
  readonly all = new Map<string, MemoryJournal>();

  of(runId: string): MemoryJournal {
    const journal = this.all.get(runId) ?? new MemoryJournal();
    this.all.set(runId, journal);
    return journal;
  }

  async runs(): Promise<readonly string[]> {
    return [...this.all.keys()].toSorted();
  }
}

export interface FakeHost extends Host {
  readonly journals: Journals;
  /** What was written, both streams. */
  readonly output: () => string;
  readonly questions: readonly string[];
  readonly evidence: readonly Evidence[];
}

export interface FakeHostOptions {
  readonly world: SimulatedWorld;
  readonly journals?: Journals;
  /** Answers of the person at the terminal; absent = nobody is there. */
  readonly typed?: readonly string[];
  readonly operator?: string;
  readonly signal?: AbortSignal;
}

let runs = 0;
let sessions = 0;

export function fakeHost({ world, journals = new MemoryJournals(), typed, ...more }: FakeHostOptions): FakeHost {
  const written: string[] = [];
  const questions: string[] = [];
  const evidence: Evidence[] = [];
  const answers = [...(typed ?? [])];
  const here: NamedJournals = { name: 'memory', journals };
  return {
    journals,
    output: () => written.join(''),
    questions,
    evidence,
    keepEvidence: async (report) => {
      evidence.push(report);
      return `evidence/${report.kind}`;
    },
    operator: more.operator ?? 'alice@desk',
    signal: more.signal ?? new AbortController().signal,
    platform: async () => platform,
    openWorld: async () => ({ world, close: async () => undefined }),
    places: { forNewRun: async () => here, toSearch: async () => [here] },
    newRunId: () => `r-2026${String(++runs).padStart(4, '0')}`,
    newSession: () => `session-${++sessions}`,
    clock: steppingClock(),
    terminal: {
      isInteractive: typed !== undefined,
      columns: 80,
      write: (text) => void written.push(text),
      writeError: (text) => void written.push(text),
      ask: async (question) => {
        questions.push(question);
        return answers.shift() ?? '';
      },
    },
  };
}
