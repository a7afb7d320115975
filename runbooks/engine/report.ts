/** What a journal says about a run afterwards: how long, how much was lost, what to do next. Pure. */
import type { JournalEvent } from './journal.ts';
import type { Facts, Runbook } from './step.ts';

/** What the tier promises. */
export interface Objectives {
  readonly recoverySeconds: number;
  readonly dataLossSeconds: number;
}

/**
 * Facts with these names, found by any step, are what the report says of losses. A step that cannot know says nothing.
 */
export const lossFacts = {
  /** Age of the oldest change that may be missing, at the moment from which on nothing more could be lost. */
  dataLossSeconds: 'dataLossSeconds',
  lostWrites: 'lostWrites',
  spendEventsLost: 'spendEventsLost',
  spendEventsDoubled: 'spendEventsDoubled',
  /** Processes that ended before their last spend was archived: how much that is, nobody can count. */
  spendLogsUnfinished: 'spendLogsUnfinished',
} as const;

/** As a person reads them. */
export const lossWords: Readonly<Record<keyof typeof lossFacts, string>> = {
  dataLossSeconds: 'data loss, at most',
  lostWrites: 'acknowledged writes lost',
  spendEventsLost: 'spend events lost',
  spendEventsDoubled: 'spend events counted twice',
  spendLogsUnfinished: 'gateways whose last spend was not archived',
};

export interface TimelineRow {
  readonly at: string;
  /** Since the run began. */
  readonly seconds: number;
  readonly text: string;
}

export interface RunReport {
  readonly title: string;
  readonly runBegan: string;
  readonly operators: readonly string[];
  readonly parameters: Facts;
  readonly world: string;
  readonly outcome: string;
  /** From the first event to the newest. */
  readonly durationSeconds: number;
  /** Whether the book recovers service; of one that does not, no recovery time is told or judged. */
  readonly isRecovery: boolean;
  /** From the decision (the run's first event), or from when it was broken on purpose, until service was recovered; undefined while it is not. */
  readonly recoverySeconds: number | undefined;
  readonly losses: Facts;
  readonly objectives: Objectives | undefined;
  /** Undefined when there is nothing to judge, or not enough is known to say that they were met. */
  readonly objectivesMet: boolean | undefined;
  readonly timeline: readonly TimelineRow[];
  readonly actionItems: readonly string[];
  /** What the book leaves to people; nothing until the run is complete. */
  readonly afterwards: readonly string[];
}

/** @throws when the events are not those of a run. */
export function reportOf(
  book: Pick<Runbook<never>, 'title' | 'steps' | 'brokenBy' | 'recoveredBy' | 'afterwards'>,
  events: readonly JournalEvent[],
  objectives?: Objectives,
): RunReport {
  const [first] = events;
  if (first?.is !== 'run-started') throw new Error('a journal begins with the start of its run');
  const { recoveredBy } = book;
  const isRecovery = recoveredBy !== undefined;
  const recoverySeconds = isRecovery ? secondsUntilRecovered(events, book.brokenBy, recoveredBy) : undefined;
  const promised = isRecovery ? objectives : undefined;
  const losses = lossesOf(events);
  return {
    title: book.title,
    runBegan: first.at,
    operators: [...new Set(events.flatMap((event) => ('operator' in event ? [event.operator] : [])))],
    parameters: first.parameters,
    world: first.world,
    outcome: outcomeOf(events, titlesOf(book)),
    durationSeconds: secondsBetween(first, events.at(-1) ?? first),
    isRecovery,
    recoverySeconds,
    losses,
    objectives: promised,
    objectivesMet: promised && met(promised, recoverySeconds, losses),
    timeline: events.map((event) => ({
      at: event.at,
      seconds: secondsBetween(first, event),
      text: sentenceOf(event, titlesOf(book)),
    })),
    actionItems: actionItems(events, titlesOf(book), promised, recoverySeconds, losses),
    afterwards: events.at(-1)?.is === 'run-completed' ? book.afterwards : [],
  };
}

/**
 * @param brokenBy undefined = the decision, the run's first event.
 * @returns undefined when either step does not stand.
 */
export function secondsUntilRecovered(
  events: readonly JournalEvent[],
  brokenBy: string | undefined,
  recoveredBy: string | undefined,
): number | undefined {
  const standsAt = (id: string | undefined): JournalEvent | undefined =>
    events.find((event) => (event.is === 'verified' || event.is === 'found-done') && event.step === id);
  const broken = brokenBy === undefined ? events[0] : standsAt(brokenBy);
  const recovered = standsAt(recoveredBy);
  return broken && recovered && secondsBetween(broken, recovered);
}

/** Exact within one process; between processes only their wall clocks can be compared. */
function secondsBetween(from: JournalEvent, to: JournalEvent): number {
  const milliseconds =
    from.session === to.session ? to.monotonicMs - from.monotonicMs : Date.parse(to.at) - Date.parse(from.at);
  return Math.max(0, milliseconds) / 1000;
}

function lossesOf(events: readonly JournalEvent[]): Facts {
  const names = Object.values(lossFacts);
  const all = events.flatMap((event) => ('facts' in event && event.facts !== undefined ? [event.facts] : []));
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = all.findLast((facts) => facts[name] !== undefined)?.[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function met(objectives: Objectives, recoverySeconds: number | undefined, losses: Facts): boolean | undefined {
  const lost = losses[lossFacts.dataLossSeconds];
  if (recoverySeconds === undefined) return undefined;
  if (recoverySeconds > objectives.recoverySeconds) return false;
  return typeof lost === 'number' ? lost <= objectives.dataLossSeconds : undefined;
}

type Titles = (stepId: string) => string;

const titlesOf = (book: Pick<Runbook<never>, 'steps'>): Titles => {
  const titles = new Map(book.steps.map(({ id, title }) => [id, title]));
  return (stepId) => titles.get(stepId) ?? stepId;
};

function outcomeOf(events: readonly JournalEvent[], title: Titles): string {
  const last = events.at(-1);
  if (last === undefined) return 'not begun';
  if (last.is === 'run-completed') return 'completed';
  return last.is === 'run-undone' ? 'taken back' : `not completed; last: ${sentenceOf(last, title)}`;
}

export function sentenceOf(event: JournalEvent, title: Titles): string {
  switch (event.is) {
    case 'run-started':
      return `${event.operator} began the run`;
    case 'run-resumed':
      return `${event.operator} went on with the run`;
    case 'found-done':
      return `${title(event.step)}: stood already${noted(event.note)}`;
    case 'acting':
      return `${title(event.step)}: begun`;
    case 'acted':
      return `${title(event.step)}: asked for, waiting for its effect`;
    case 'act-failed':
      return `${title(event.step)}: failed (${event.because})`;
    case 'verified':
      return `${title(event.step)}: done and seen${noted(event.note)}`;
    case 'blocked':
      return `${title(event.step)}: must not be done (${event.because})`;
    case 'declined':
      return `${title(event.step)}: not confirmed`;
    case 'timed-out':
      return `${title(event.step)}: patience is over (${event.waitedFor})`;
    case 'undo-started':
      return `${event.operator} began to take the run back`;
    case 'undoing':
      return `${title(event.step)}: being taken back`;
    case 'undone':
      return `${title(event.step)}: taken back`;
    case 'undo-failed':
      return `${title(event.step)}: could not be taken back (${event.because})`;
    case 'stopped':
      return `stopped (${event.because})`;
    case 'run-completed':
      return 'the run is complete';
    case 'run-undone':
      return 'the run was taken back';
  }
}

const noted = (note: string | undefined): string => (note === undefined ? '' : ` (${note})`);

function actionItems(
  events: readonly JournalEvent[],
  title: Titles,
  objectives: Objectives | undefined,
  recoverySeconds: number | undefined,
  losses: Facts,
): string[] {
  const items: string[] = [];
  for (const event of events) {
    if (event.is === 'act-failed') items.push(`Find out why "${title(event.step)}" failed: ${event.because}`);
    if (event.is === 'timed-out') {
      items.push(`Find out what held "${title(event.step)}" up: ${event.waitedFor}. Is its patience right?`);
    }
    if (event.is === 'undo-failed') items.push(`Take "${title(event.step)}" back by hand: ${event.because}`);
  }
  const end = events.at(-1)?.is;
  if (end !== 'run-completed' && end !== 'run-undone') {
    items.push('The run is not complete: resume it, or take it back');
  }
  if (objectives !== undefined && recoverySeconds !== undefined && recoverySeconds > objectives.recoverySeconds) {
    items.push(`Recovery took ${recoverySeconds} s, the objective is ${objectives.recoverySeconds} s`);
  }
  const lostSeconds = losses[lossFacts.dataLossSeconds];
  if (objectives !== undefined && typeof lostSeconds === 'number' && lostSeconds > objectives.dataLossSeconds) {
    items.push(`Up to ${lostSeconds} s of changes are lost, the objective is ${objectives.dataLossSeconds} s`);
  }
  if (objectives !== undefined && recoverySeconds !== undefined && lostSeconds === undefined) {
    items.push('Find out how much data was lost: no step of the run could tell');
  }
  for (const name of [lossFacts.lostWrites, lossFacts.spendEventsLost, lossFacts.spendEventsDoubled]) {
    const lost = losses[name];
    if (typeof lost === 'number' && lost > 0)
      items.push(`Account for ${lossWords[name]} = ${lost}; the list is in the journal's facts`);
  }
  const unfinished = losses[lossFacts.spendLogsUnfinished];
  if (typeof unfinished === 'number' && unfinished > 0)
    items.push(`Bring the disks of ${unfinished} gateways back: their last spend was not archived`);
  return [...new Set(items)];
}
