/** Looking at the world: bounded, and a look that fails is waited for like an effect that has not come yet. */
import type { JournalEvent } from './journal.ts';
import { stepStates } from './standing.ts';
import type { Facts, Step, StepContext, Verdict } from './step.ts';

/** A step asked for what an earlier one found, and that one does not stand. */
export class NotStanding extends Error {
  constructor(stepId: string) {
    super(`the step "${stepId}" has not been done yet`);
    this.name = 'NotStanding';
  }
}

export function contextOf<World>(
  step: Step<World>,
  runId: string,
  events: readonly JournalEvent[],
  signal: AbortSignal,
): StepContext {
  return {
    runId,
    token: `${runId}/${step.id}`,
    signal,
    facts: (stepId) => factsOf(events, stepId),
    progress: () => undefined,
  };
}

function factsOf(events: readonly JournalEvent[], stepId: string): Facts {
  const state = stepStates(events).get(stepId);
  if (state?.is !== 'stands') throw new NotStanding(stepId);
  return state.facts;
}

/**
 * The verdict of one look. Errors of the world come back as `underway`: a throttled or unreachable API is no reason to
 * end a recovery, patience is.
 * @throws the signal's reason when it fires, also when the look itself ignores it.
 */
export async function look(find: () => Promise<Verdict>, signal: AbortSignal): Promise<Verdict> {
  try {
    return await orAborted(find(), signal);
  } catch (error) {
    signal.throwIfAborted();
    return { is: 'underway', note: `cannot be seen: ${messageOf(error)}` };
  }
}

/**
 * One look that no step's patience bounds.
 * @param find is given a signal that fires when the time is over.
 * @throws the signal's reason when the operator stops.
 */
export async function lookOnce(
  find: (bounded: AbortSignal) => Promise<Verdict>,
  signal: AbortSignal,
  seconds = 30,
): Promise<Verdict> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  try {
    return await look(() => find(bounded), bounded);
  } catch {
    signal.throwIfAborted();
    return { is: 'underway', note: `cannot be seen: no answer within ${seconds} s` };
  }
}

/** @throws the signal's reason when it fires first; the work's own end is then nobody's concern any more. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** `fetch failed` alone says nothing: its cause does. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return cause === '' ? error.message : `${error.message}: ${cause}`;
}

/** What a verdict says to a person. */
export function noteOf(verdict: Verdict): string {
  switch (verdict.is) {
    case 'done':
      return verdict.note ?? 'done';
    case 'ready':
      return verdict.note ?? 'its effect is not there';
    case 'underway':
      return verdict.note;
    case 'blocked':
      return verdict.because;
  }
}
