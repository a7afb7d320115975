/** What a journal says about each step: pure, so that an operator, a resumed run and the report agree. */
import type { JournalEvent } from './journal.ts';
import type { Facts } from './step.ts';

export type StepState =
  | { readonly is: 'open' }
  /** An act was begun, by some process, and nobody knows how it ended. */
  | { readonly is: 'acting' }
  /** Its effect stands. `byUs` = this run brought it about, so this run may take it back. */
  | { readonly is: 'stands'; readonly byUs: boolean; readonly session: string; readonly facts: Facts }
  /** Taking it back was begun and not finished. */
  | { readonly is: 'undoing' };

/** Steps that no event names are open. */
export function stepStates(events: readonly JournalEvent[]): ReadonlyMap<string, StepState> {
  const states = new Map<string, StepState>();
  for (const event of events) {
    if (!('step' in event)) continue;
    const state = stateAfter(event, states.get(event.step));
    if (state !== undefined) states.set(event.step, state);
  }
  return states;
}

/** Undefined when the event says nothing new about whether its step stands. */
function stateAfter(event: JournalEvent, before: StepState | undefined): StepState | undefined {
  if (event.is === 'acting') return { is: 'acting' };
  if (event.is === 'undoing') return { is: 'undoing' };
  if (event.is === 'undone') return { is: 'open' };
  if (event.is !== 'found-done' && event.is !== 'verified') return undefined;
  // An act whose end nobody saw, and whose effect is there, was ours.
  const byUs = before?.is === 'acting' || (before?.is === 'stands' && before.byUs);
  return { is: 'stands', byUs, session: event.session, facts: event.facts ?? {} };
}

/** Whether the world may have been changed by this run. */
export const hasActed = (events: readonly JournalEvent[]): boolean => events.some(({ is }) => is === 'acting');

export interface AtWork {
  readonly operator: string;
  /** ISO 8601: of the newest event. */
  readonly at: string;
  readonly step: string | undefined;
}

const endings: ReadonlySet<JournalEvent['is']> = new Set([
  'run-completed',
  'run-undone',
  'stopped',
  'blocked',
  'declined',
  'timed-out',
  'act-failed',
  'undo-failed',
]);

/** Who is at the run, as far as the journal tells: somebody who was killed looks the same. Undefined = its last process ended. */
export function atWork(events: readonly JournalEvent[]): AtWork | undefined {
  const last = events.at(-1);
  const begun = events.findLast((event) => 'operator' in event);
  if (last === undefined || begun === undefined || endings.has(last.is)) return undefined;
  return {
    operator: 'operator' in begun ? begun.operator : '',
    at: last.at,
    step: 'step' in last ? last.step : undefined,
  };
}
