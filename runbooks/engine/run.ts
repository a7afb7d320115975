/** Runs a book, or goes on with a run that was interrupted: what stands is left alone, what is under way is waited for. */
import type { Journal, JournalEvent } from './journal.ts';
import { contextOf, look, messageOf, noteOf, orAborted } from './look.ts';
import { type Clock, Recorder } from './recorder.ts';
import { hasActed, stepStates } from './standing.ts';
import { type Facts, faultsOf, type Runbook, type Step, type StepContext, type Verdict } from './step.ts';

export interface RunOptions<World> {
  readonly book: Runbook<World>;
  readonly world: World;
  /** For the journal: `lab`, `aws`. */
  readonly worldName: string;
  readonly journal: Journal;
  readonly runId: string;
  readonly parameters: Facts;
  readonly operator: string;
  /** New for every process. */
  readonly session: string;
  readonly clock: Clock;
  /** Between two looks. */
  readonly pollSeconds: number;
  /** The operator wants to stop. What has been begun is finished by a later resume. */
  readonly signal: AbortSignal;
  /** What the operator typed when asked to type `expected`. */
  readonly confirm: (step: Step<World>, expected: string) => Promise<string>;
  readonly onEvent: (event: JournalEvent) => void;
  /** Called after each look that did not find the effect, and with what a long act is at. */
  readonly onWaiting: (step: Step<World>, note: string, remainingSeconds: number) => void;
}

export type Outcome =
  | { readonly is: 'completed' }
  /** Nothing was changed. */
  | { readonly is: 'refused'; readonly step: string; readonly because: string; readonly fix?: string }
  /** Something was changed; the same command with `resume` goes on. */
  | { readonly is: 'partial'; readonly step: string; readonly because: string; readonly fix?: string }
  | { readonly is: 'timed-out'; readonly step: string; readonly waitedFor: string };

/** For scripts that call the command: 2 is the command line's own. */
export const exitCodes: Readonly<Record<Outcome['is'], number>> = {
  completed: 0,
  refused: 3,
  partial: 4,
  'timed-out': 5,
};

/** The run cannot begin or go on as asked; nothing was changed. */
export class RunError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RunError';
  }
}

/** The patience of a step is over. */
class OutOfPatience extends Error {}

/**
 * @throws RunError for a book or journal that cannot be run, PositionTaken when another process has the run.
 */
export async function run<World>(options: RunOptions<World>): Promise<Outcome> {
  const { book, journal, runId } = options;
  const faults = faultsOf(book);
  if (faults.length > 0) throw new RunError(`The runbook ${book.id} cannot be run: ${faults.join('; ')}`);
  const events = await journal.read();
  const [first] = events;
  if (first !== undefined && (first.is !== 'run-started' || first.book !== book.id)) {
    const other = first.is === 'run-started' ? first.book : 'something else';
    throw new RunError(`The run ${runId} is one of ${other}, not of ${book.id}`);
  }
  const recorder = new Recorder(journal, events, options.session, options.clock, options.onEvent);
  return new Run(options, recorder).go();
}

class Run<World> {
  readonly #options: RunOptions<World>;
  readonly #recorder: Recorder;

  constructor(options: RunOptions<World>, recorder: Recorder) {
    this.#options = options;
    this.#recorder = recorder;
  }

  async go(): Promise<Outcome> {
    const { book, signal, operator, parameters, worldName } = this.#options;
    if (this.#todo().length === 0) return { is: 'completed' };
    const unmet = await this.#firstUnmet();
    if (unmet !== undefined) return unmet;
    await this.#recorder.write(
      this.#recorder.events.length === 0
        ? { is: 'run-started', book: book.id, parameters, world: worldName, operator }
        : { is: 'run-resumed', operator },
    );
    for (const step of this.#todo()) {
      let outcome: Outcome | undefined;
      try {
        outcome = await this.#perform(step);
      } catch (error) {
        if (!signal.aborted) throw error;
        const because = messageOf(signal.reason);
        await this.#recorder.write({ is: 'stopped', because });
        outcome = this.#ended(step, because);
      }
      if (outcome !== undefined) return outcome;
    }
    await this.#recorder.write({ is: 'run-completed' });
    return { is: 'completed' };
  }

  /** Steps that do not stand, and those whose effect was time in a process that is gone, unless what they waited for came. */
  #todo(): Step<World>[] {
    const { steps } = this.#options.book;
    const states = stepStates(this.#recorder.events);
    const stands = (step: Step<World> | undefined): boolean =>
      step !== undefined && states.get(step.id)?.is === 'stands';
    return steps.filter((step, index) => {
      const state = states.get(step.id);
      if (state?.is !== 'stands') return true;
      return step.repeatedOnResume === true && state.session !== this.#recorder.session && !stands(steps[index + 1]);
    });
  }

  /** What would stop a later step is found before the first one acts. */
  async #firstUnmet(): Promise<Outcome | undefined> {
    const { signal } = this.#options;
    for (const step of this.#todo()) {
      if (step.precondition === undefined) continue;
      const context = contextOf(step, this.#options.runId, this.#recorder.events, signal);
      const { precondition } = step;
      const verdict = await look(() => precondition(this.#options.world, context), signal);
      if (verdict.is === 'ready' || verdict.is === 'done') continue;
      const fix = verdict.is === 'blocked' ? verdict.fix : undefined;
      return this.#ended(step, noteOf(verdict), fix);
    }
    return undefined;
  }

  /** @returns undefined when the step stands now. */
  async #perform(step: Step<World>): Promise<Outcome | undefined> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new OutOfPatience()), step.patienceSeconds * 1000);
    const signal = AbortSignal.any([this.#options.signal, patience.signal]);
    let seen = 'its effect';
    const onNote = (note: string): void => {
      seen = note;
    };
    try {
      return await this.#bringAbout(step, signal, onNote);
    } catch (error) {
      if (!(error instanceof OutOfPatience)) throw error;
      await this.#recorder.write({ is: 'timed-out', step: step.id, waitedFor: seen });
      return { is: 'timed-out', step: step.id, waitedFor: seen };
    } finally {
      clearTimeout(timer);
    }
  }

  async #bringAbout(
    step: Step<World>,
    signal: AbortSignal,
    onNote: (note: string) => void,
  ): Promise<Outcome | undefined> {
    const { world, runId, clock, onWaiting } = this.#options;
    const deadline = clock.now() + step.patienceSeconds * 1000;
    const context: StepContext = {
      ...contextOf(step, runId, this.#recorder.events, signal),
      progress: (note) => {
        onNote(note);
        onWaiting(step, note, Math.max(0, Math.ceil((deadline - clock.now()) / 1000)));
      },
    };
    const before = await this.#until(step, deadline, signal, onNote, () => step.check(world, context), {
      ends: ({ is }) => is !== 'underway',
    });
    if (before.is === 'done') {
      await this.#recorder.write({ is: 'found-done', step: step.id, ...found(before) });
      return undefined;
    }
    if (before.is === 'blocked') {
      const { because, fix } = before;
      await this.#recorder.write({ is: 'blocked', step: step.id, because, ...(fix === undefined ? {} : { fix }) });
      return this.#ended(step, because, fix);
    }
    if (step.confirm !== undefined) {
      const typed = await orAborted(this.#options.confirm(step, step.confirm), this.#options.signal);
      if (typed !== step.confirm) {
        await this.#recorder.write({ is: 'declined', step: step.id });
        return this.#ended(step, `"${step.confirm}" was not typed`);
      }
    }
    await this.#recorder.write({ is: 'acting', step: step.id });
    try {
      await orAborted(step.act(world, context), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const because = messageOf(error);
      await this.#recorder.write({ is: 'act-failed', step: step.id, because });
      return this.#ended(step, because);
    }
    await this.#recorder.write({ is: 'acted', step: step.id });
    const verify = step.verify ?? step.check;
    const after = await this.#until(step, deadline, signal, onNote, () => verify(world, context), {
      ends: ({ is }) => is === 'done',
    });
    if (after.is === 'done') await this.#recorder.write({ is: 'verified', step: step.id, ...found(after) });
    return undefined;
  }

  /** Looks until a verdict ends it. @throws OutOfPatience, or the operator's reason to stop. */
  async #until(
    step: Step<World>,
    deadline: number,
    signal: AbortSignal,
    onNote: (note: string) => void,
    find: () => Promise<Verdict>,
    { ends }: { readonly ends: (verdict: Verdict) => boolean },
  ): Promise<Verdict> {
    const { clock, pollSeconds, onWaiting } = this.#options;
    for (;;) {
      const verdict = await look(find, signal);
      if (ends(verdict)) return verdict;
      onNote(noteOf(verdict));
      const remainingMs = deadline - clock.now();
      if (remainingMs <= 0) throw new OutOfPatience();
      onWaiting(step, noteOf(verdict), Math.ceil(remainingMs / 1000));
      await clock.sleep(Math.min(pollSeconds * 1000, remainingMs), signal);
    }
  }

  #ended(step: Step<World>, because: string, fix?: string): Outcome {
    const is = hasActed(this.#recorder.events) ? 'partial' : 'refused';
    return { is, step: step.id, because, ...(fix === undefined ? {} : { fix }) };
  }
}

function found(verdict: Extract<Verdict, { is: 'done' }>): { note?: string; facts?: Record<string, Facts[string]> } {
  return {
    ...(verdict.note === undefined ? {} : { note: verdict.note }),
    ...(verdict.facts === undefined ? {} : { facts: { ...verdict.facts } }),
  };
}
