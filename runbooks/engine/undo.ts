/** Takes back what a run has done, newest first, and stops at what cannot be taken back. */
import { contextOf, look, messageOf, noteOf, orAborted } from './look.ts';
import { Recorder } from './recorder.ts';
import { RunError, type RunOptions } from './run.ts';
import { stepStates } from './standing.ts';
import type { Step } from './step.ts';

export type UndoOptions<World> = Omit<RunOptions<World>, 'parameters' | 'worldName'>;

export type UndoOutcome =
  | { readonly is: 'completed'; readonly undone: readonly string[] }
  /** The steps before this one stand. */
  | { readonly is: 'partial'; readonly step: string; readonly because: string };

/** What was found done was not this run's work and stays. @throws RunError, PositionTaken, JournalAway */
export async function undo<World>(options: UndoOptions<World>): Promise<UndoOutcome> {
  const events = await options.journal.read();
  const [first] = events;
  if (first?.is !== 'run-started') throw new RunError(`There is no run ${options.runId} to take back`);
  if (first.book !== options.book.id) {
    throw new RunError(`The run ${options.runId} is one of ${first.book}, not of ${options.book.id}`);
  }
  const recorder = new Recorder(options.journal, events, options.session, options.clock, options.onEvent);
  await recorder.write({ is: 'undo-started', operator: options.operator });
  const states = stepStates(events);
  const undone: string[] = [];
  for (const step of options.book.steps.toReversed()) {
    const state = states.get(step.id);
    if (state === undefined || state.is === 'open' || (state.is === 'stands' && !state.byUs)) continue;
    if ('stays' in step.undo) continue;
    const because = await takeBack(step, options, recorder);
    if (because !== undefined) return { is: 'partial', step: step.id, because };
    undone.push(step.id);
  }
  await recorder.write({ is: 'run-undone' });
  return { is: 'completed', undone };
}

/** @returns why it could not be taken back; undefined when it was, and was seen to be. */
async function takeBack<World>(
  step: Step<World>,
  options: UndoOptions<World>,
  recorder: Recorder,
): Promise<string | undefined> {
  const { undo: takesBack } = step;
  if (typeof takesBack !== 'function') {
    return 'stays' in takesBack ? undefined : `it cannot be taken back: ${takesBack.irreversible}`;
  }
  const { world, clock } = options;
  if (step.confirm !== undefined) {
    const typed = await orAborted(options.confirm(step, step.confirm), options.signal);
    if (typed !== step.confirm) return `"${step.confirm}" was not typed`;
  }
  const patience = AbortSignal.timeout(step.patienceSeconds * 1000);
  const signal = AbortSignal.any([options.signal, patience]);
  const context = contextOf(step, options.runId, recorder.events, signal);
  await recorder.write({ is: 'undoing', step: step.id });
  let seen = 'it was not asked for in full';
  try {
    await orAborted(takesBack(world, context), signal);
    const deadline = clock.now() + step.patienceSeconds * 1000;
    for (;;) {
      const verdict = await look(() => step.check(world, context), signal);
      // Ready to be done again, or not possible any more: either way its effect is gone.
      if (verdict.is === 'ready' || verdict.is === 'blocked') break;
      seen = `its effect is still there: ${noteOf(verdict)}`;
      const remainingMs = deadline - clock.now();
      if (remainingMs <= 0) throw new Error(seen);
      options.onWaiting(step, noteOf(verdict), Math.ceil(remainingMs / 1000));
      await clock.sleep(options.pollSeconds * 1000, signal);
    }
  } catch (error) {
    const because = patience.aborted ? `patience is over after ${step.patienceSeconds} s: ${seen}` : messageOf(error);
    await recorder.write({ is: 'undo-failed', step: step.id, because });
    return because;
  }
  await recorder.write({ is: 'undone', step: step.id });
  return undefined;
}
