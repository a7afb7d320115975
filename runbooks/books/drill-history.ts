/** What drills have shown: whether one passed, how it compares with the last one, and when the next one is due. Pure. */
import type { TierName } from '../../lib/platform/spec.ts';
import { tiers } from '../../lib/platform/tiers.ts';
import type { Block } from '../engine/document.ts';
import type { JournalEvent } from '../engine/journal.ts';
import { type Objectives, type RunReport, secondsUntilRecovered } from '../engine/report.ts';
import type { DrillEnvironment } from './drill.ts';

/** Days from one drill to the next. */
export const drillIntervalDays: Readonly<Record<TierName, number>> = { standard: 90, high: 30, critical: 30 };

/** A drill passes below these, with recovery time and data loss inside the tier's objectives. */
export const drillLimits = { errorPercent: 1, addedLatencyMs: 100 } as const;

/** Nothing may be lost and nobody failed while a region is left that works. */
const plannedBooks: ReadonlySet<string> = new Set(['region-switchover', 'region-failback']);

export const objectivesOf = (tier: TierName): Objectives => ({
  recoverySeconds: tiers[tier].rtoSeconds,
  dataLossSeconds: tiers[tier].rpoSeconds,
});

export interface DrillResult {
  readonly run: string;
  /** ISO 8601. */
  readonly at: string;
  /** The book that was drilled. */
  readonly book: string;
  /** In production real clients are measured, of whom the gateways count less. */
  readonly environment: DrillEnvironment;
  readonly isComplete: boolean;
  readonly recoverySeconds: number | undefined;
  readonly numbers: Readonly<Record<DrillNumber, number | undefined>>;
  /** What must never happen and did. */
  readonly violations: readonly string[];
  /** Which region wrote from when on. */
  readonly epochHistory: readonly string[];
}

const drillNumbers = [
  'requests',
  'errorPercent',
  'retriedPercent',
  'addedLatencyMs',
  'troubleSeconds',
  'servingGapSeconds',
  'clientsAwaySeconds',
  'writeGapSeconds',
  'dataLossSeconds',
  'acknowledgedWrites',
  'lostWrites',
  'spendEventsLost',
  'spendEventsDoubled',
  'invariantViolations',
] as const;

export type DrillNumber = (typeof drillNumbers)[number];

/** Undefined when the journal is not a drill's. */
export function drillResult(run: string, events: readonly JournalEvent[]): DrillResult | undefined {
  const [first] = events;
  if (first?.is !== 'run-started' || first.book !== 'drill') return undefined;
  const measured = events.findLast((event) => event.is === 'found-done' && event.step === 'drill-measure');
  const isBroken = events.some((event) => 'step' in event && event.step === 'drill-break');
  const facts = measured !== undefined && 'facts' in measured ? (measured.facts ?? {}) : {};
  const numberOf = (name: DrillNumber): number | undefined => {
    const value = facts[name];
    return typeof value === 'number' ? value : undefined;
  };
  const textOf = (name: 'violationsList' | 'epochHistory'): readonly string[] =>
    String(facts[name] ?? '')
      .split('; ')
      .filter((text) => text !== '');
  return {
    run,
    at: first.at,
    book: String(first.parameters['book'] ?? ''),
    environment: environmentOf(first.parameters['environment']),
    isComplete: events.at(-1)?.is === 'run-completed',
    recoverySeconds: secondsUntilRecovered(events, isBroken ? 'drill-break' : undefined, 'open'),
    numbers: {
      requests: numberOf('requests'),
      errorPercent: numberOf('errorPercent'),
      retriedPercent: numberOf('retriedPercent'),
      addedLatencyMs: numberOf('addedLatencyMs'),
      troubleSeconds: numberOf('troubleSeconds'),
      servingGapSeconds: numberOf('servingGapSeconds'),
      clientsAwaySeconds: numberOf('clientsAwaySeconds'),
      writeGapSeconds: numberOf('writeGapSeconds'),
      dataLossSeconds: numberOf('dataLossSeconds'),
      acknowledgedWrites: numberOf('acknowledgedWrites'),
      lostWrites: numberOf('lostWrites'),
      spendEventsLost: numberOf('spendEventsLost'),
      spendEventsDoubled: numberOf('spendEventsDoubled'),
      invariantViolations: numberOf('invariantViolations'),
    },
    violations: textOf('violationsList'),
    epochHistory: textOf('epochHistory'),
  };
}

const environmentOf = (said: unknown): DrillEnvironment => (said === 'staging' || said === 'production' ? said : 'lab');

/** What a drill in production cannot tell: real clients keep no ledger. */
const unknownInProduction: ReadonlySet<DrillNumber> = new Set([
  'dataLossSeconds',
  'lostWrites',
  'spendEventsLost',
  'spendEventsDoubled',
]);

/** Why a drill has not passed; empty = it has. What was not measured has not passed, but for what no drill there can measure. */
export function drillFaults(
  { isComplete, book, environment, numbers }: DrillResult,
  report: Pick<RunReport, 'recoverySeconds'>,
  tier: TierName,
): string[] {
  const { recoverySeconds, dataLossSeconds } = objectivesOf(tier);
  const faults: string[] = [];
  if (!isComplete) faults.push('it is not complete');
  const atMost = (name: string, value: number | undefined, limit: number, unit: string): void => {
    if (value === undefined) faults.push(`${name} was not measured`);
    else if (value > limit) faults.push(`${name} was ${value} ${unit}, at most ${limit} are good`);
  };
  const counted = (name: DrillNumber, words: string, limit: number, unit: string): void => {
    const isUnknown = environment === 'production' && unknownInProduction.has(name) && numbers[name] === undefined;
    if (!isUnknown) atMost(words, numbers[name], limit, unit);
  };
  const below = (name: string, value: number | undefined, limit: number, unit: string): void => {
    if (value === undefined) faults.push(`${name} was not measured`);
    else if (value >= limit) faults.push(`${name} was ${value} ${unit}, less than ${limit} are good`);
  };
  below('the share of errors', numbers.errorPercent, drillLimits.errorPercent, '%');
  below('the added latency', numbers.addedLatencyMs, drillLimits.addedLatencyMs, 'ms');
  atMost('the recovery time', report.recoverySeconds, recoverySeconds, 's');
  counted('dataLossSeconds', 'the data loss', dataLossSeconds, 's');
  counted('spendEventsLost', 'spend lost', 0, 'events');
  counted('spendEventsDoubled', 'spend counted twice', 0, 'events');
  // Where the databases note nothing, nothing can be told.
  if (numbers.invariantViolations !== undefined) {
    atMost('what must never happen', numbers.invariantViolations, 0, 'times');
  }
  if (plannedBooks.has(book)) {
    counted('lostWrites', 'acknowledged writes lost', 0, 'writes');
    atMost('the share of errors of a planned move', numbers.errorPercent, 0, '%');
  }
  return faults;
}

export interface DrillDue {
  /** ISO 8601; undefined = there never was one that was completed. */
  readonly lastAt: string | undefined;
  /** Negative = overdue. */
  readonly daysLeft: number;
}

const dayMs = 86_400_000;

/** Of one book: drills of another one show nothing about it. */
export function drillDue(history: readonly DrillResult[], book: string, tier: TierName, now: Date): DrillDue {
  const last = history.filter((result) => result.book === book && result.isComplete).at(-1);
  if (last === undefined) return { lastAt: undefined, daysLeft: 0 };
  const days = (now.getTime() - Date.parse(last.at)) / dayMs;
  return { lastAt: last.at, daysLeft: Math.floor(drillIntervalDays[tier] - days) };
}

/** The part of a report that only drills have. */
export function drillBlocks(result: DrillResult, last: DrillResult | undefined, faults: readonly string[]): Block[] {
  const value = (number: number | undefined): string => (number === undefined ? '-' : String(number));
  const rows: (readonly [string, number | undefined, number | undefined])[] = [
    ['recovery time, s', result.recoverySeconds, last?.recoverySeconds],
    ...drillNumbers.map((name) => [name, result.numbers[name], last?.numbers[name]] as const),
  ];
  return [
    { is: 'heading', level: 2, text: faults.length === 0 ? 'The drill passed' : 'The drill did NOT pass' },
    ...(faults.length === 0 ? [] : [{ is: 'list', items: faults } as const]),
    {
      is: 'table',
      head: ['what', 'this drill', last === undefined ? 'no drill before' : `the one before (${last.at.slice(0, 10)})`],
      rows: rows.map(([name, now, before]) => [name, value(now), value(before)]),
    },
    ...listed('Not measured', notMeasured(result)),
    ...listed('Epochs', result.epochHistory),
    ...listed('What must never happen, and did', result.violations),
  ];
}

/** What nobody can say after this drill, so that a pass is not read as more than it is. */
export const notMeasured = ({ numbers }: Pick<DrillResult, 'numbers'>): readonly string[] =>
  drillNumbers.filter((name) => name !== 'clientsAwaySeconds' && numbers[name] === undefined);

const listed = (text: string, items: readonly string[]): Block[] =>
  items.length === 0
    ? []
    : [
        { is: 'heading', level: 2, text },
        { is: 'list', items },
      ];
