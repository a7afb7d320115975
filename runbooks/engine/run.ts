/** Runs a book, or goes on with a run that was interrupted: what stands is left alone, what is under way is waited for. */
import type { Journal, JournalEvent } from './journal.ts';
import { contextOf, look, lookOnce, messageOf, noteOf, orAborted } from './look.ts';
import { type Clock, Recorder } from './recorder.ts';
import { hasActed, stepStates } from './standing.ts';
import { type Facts, faultsOf, type Look, type Runbook, type Step, type StepContext, type Verdict } from './step.ts';

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
  /** For one look before the first act, whose answer no step waits for; 30 if not given. */
  readonly lookSeconds?: number;
}

/** Why a run ended at a step, and what a person can do about it. */
export interface Obstacle {
  readonly step: string;
  readonly because: string;
  readonly fix?: string;
}

export type Outcome =
  | { readonly is: 'completed' }
  /** Nothing was changed. `more` = what else would have stopped it. */
  | ({ readonly is: 'refused'; readonly more?: readonly Obstacle[] } & Obstacle)
  /** Something was changed; the same command with `resume` goes on. */
  | ({ readonly is: 'partial'; readonly more?: readonly Obstacle[] } & Obstacle)
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
    // All may stand and the end be missing: whoever was killed before the last write is gone on with, too.
    if (this.#todo().length === 0 && this.#recorder.events.at(-1)?.is === 'run-completed') return { is: 'completed' };
    const [unmet, ...more] = await this.#unmet();
    if (unmet !== undefined) return { ...this.#ended(unmet), ...(more.length === 0 ? {} : { more }) };
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
        outcome = this.#ended({ step: step.id, because });
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

  /** What would stop a later step is found before the first one acts: all of it, at once. */
  async #unmet(): Promise<readonly Obstacle[]> {
    const { world, runId, signal, lookSeconds } = this.#options;
    const looked = this.#todo().map(async (step): Promise<Obstacle | undefined> => {
      const { precondition } = step;
      if (precondition === undefined) return undefined;
      const verdict = await lookOnce(
        (bounded) => precondition(world, contextOf(step, runId, this.#recorder.events, bounded)),
        signal,
        lookSeconds,
      );
      if (verdict.is === 'ready' || verdict.is === 'done') return undefined;
      return verdict.is === 'blocked' ? obstacle(step, verdict) : { step: step.id, because: noteOf(verdict) };
    });
    return (await Promise.all(looked)).filter((unmet) => unmet !== undefined);
  }

  /** @returns undefined when the step stands now. */
  async #perform(step: Step<World>): Promise<Outcome | undefined> {
    const { confirm } = step;
    if (confirm !== undefined) {
      const before = await this.#patiently(step, (waits) => this.#before(step, waits));
      if (before !== 'ready') return before === 'stands' ? undefined : before;
      const typed = await orAborted(this.#options.confirm(step, confirm), this.#options.signal);
      if (typed !== confirm) {
        await this.#recorder.write({ is: 'declined', step: step.id });
        const fix = `type it when you are asked, or beforehand: --confirm '${confirm}'`;
        return this.#ended({ step: step.id, because: `"${confirm}" was not typed`, fix });
      }
    }
    // With a patience and a look of its own: people think before they type, and the world goes on meanwhile.
    const end = await this.#patiently(step, async (waits) => {
      const before = await this.#before(step, waits);
      return before === 'ready' ? this.#act(step, waits) : before;
    });
    return end === 'stands' ? undefined : end;
  }

  /** @returns the outcome when the step's patience was over first. @throws what the work throws else. */
  async #patiently<T>(step: Step<World>, work: (waits: Waits) => Promise<T>): Promise<T | Outcome> {
    const { clock, signal } = this.#options;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new OutOfPatience()), step.patienceSeconds * 1000);
    const waits: Waits = {
      deadline: clock.now() + step.patienceSeconds * 1000,
      signal: AbortSignal.any([signal, patience.signal]),
      seen: 'its effect',
    };
    try {
      return await work(waits);
    } catch (error) {
      if (!(error instanceof OutOfPatience)) throw error;
      await this.#recorder.write({ is: 'timed-out', step: step.id, waitedFor: waits.seen });
      return { is: 'timed-out', step: step.id, waitedFor: waits.seen };
    } finally {
      clearTimeout(timer);
    }
  }

  async #before(step: Step<World>, waits: Waits): Promise<'ready' | 'stands' | Outcome> {
    const verdict = await this.#until(step, waits, step.check, ({ is }) => is !== 'underway');
    if (verdict.is === 'done') {
      await this.#recorder.write({ is: 'found-done', step: step.id, ...found(verdict) });
      return 'stands';
    }
    if (verdict.is !== 'blocked') return 'ready';
    const blocked = obstacle(step, verdict);
    await this.#recorder.write({ is: 'blocked', ...blocked });
    return this.#ended(blocked);
  }

  async #act(step: Step<World>, waits: Waits): Promise<'stands' | Outcome> {
    await this.#recorder.write({ is: 'acting', step: step.id });
    try {
      await orAborted(step.act(this.#options.world, this.#contextOf(step, waits)), waits.signal);
    } catch (error) {
      if (waits.signal.aborted) throw error;
      const because = messageOf(error);
      await this.#recorder.write({ is: 'act-failed', step: step.id, because });
      return this.#ended({ step: step.id, because });
    }
    await this.#recorder.write({ is: 'acted', step: step.id });
    const after = await this.#until(step, waits, step.verify ?? step.check, ({ is }) => is === 'done');
    if (after.is === 'done') await this.#recorder.write({ is: 'verified', step: step.id, ...found(after) });
    return 'stands';
  }

  /** Looks until a verdict ends it. @throws OutOfPatience, or the operator's reason to stop. */
  async #until(
    step: Step<World>,
    waits: Waits,
    find: Look<World>,
    ends: (verdict: Verdict) => boolean,
  ): Promise<Verdict> {
    const { world, clock, pollSeconds, onWaiting } = this.#options;
    const context = this.#contextOf(step, waits);
    for (;;) {
      const verdict = await look(() => find(world, context), waits.signal);
      if (ends(verdict)) return verdict;
      waits.seen = noteOf(verdict);
      const remainingMs = waits.deadline - clock.now();
      if (remainingMs <= 0) throw new OutOfPatience();
      onWaiting(step, waits.seen, Math.ceil(remainingMs / 1000));
      await clock.sleep(Math.min(pollSeconds * 1000, remainingMs), waits.signal);
    }
  }

  #contextOf(step: Step<World>, waits: Waits): StepContext {
    const { runId, clock, onWaiting } = this.#options;
    return {
      ...contextOf(step, runId, this.#recorder.events, waits.signal),
      progress: (note) => {
        waits.seen = note;
        onWaiting(step, note, Math.max(0, Math.ceil((waits.deadline - clock.now()) / 1000)));
      },
    };
  }

  #ended(at: Obstacle): Outcome {
    return { is: hasActed(this.#recorder.events) ? 'partial' : 'refused', ...at };
  }
}

/** One stretch of patience. */
interface Waits {
  /** On the run's clock. */
  readonly deadline: number;
  /** Fires when it is over, or when the operator stops the run. */
  readonly signal: AbortSignal;
  /** What was seen last instead of the effect. */
  seen: string;
}

const obstacle = (
  { id }: { readonly id: string },
  { because, fix }: Extract<Verdict, { is: 'blocked' }>,
): Obstacle => ({
  step: id,
  because,
  ...(fix === undefined ? {} : { fix }),
});

function found(verdict: Extract<Verdict, { is: 'done' }>): { note?: string; facts?: Record<string, Facts[string]> } {
  return {
    ...(verdict.note === undefined ? {} : { note: verdict.note }),
    ...(verdict.facts === undefined ? {} : { facts: { ...verdict.facts } }),
  };
}
