/** What the clients' ledger, the databases and the claim say together about a drill. Pure. */
import type { DrillMeasurements } from '../books/drill.ts';
import {
  type LoadEntry,
  servingGapSeconds,
  steadyLatencyMs,
  troubleSeconds,
  type WriteEntry,
  writeGapSeconds,
} from './load.ts';
import { type HistoryEvent, violationsOf, type WriteRow } from './region-history.ts';
import type { EpochSeen } from './two-regions.ts';

export interface DrillRecords {
  /** Requests that ended long enough ago for their spend to be on its way no more. */
  readonly requests: readonly LoadEntry[];
  readonly writes: readonly WriteEntry[];
  /** Monotonic, milliseconds. */
  readonly brokenAtMs: number;
  readonly mendedAtMs: number;
  readonly epochs: readonly EpochSeen[];
  /** Epochs that a planned move began. */
  readonly plannedEpochs: ReadonlySet<number>;
  /** Writes of every database there ever was, and those of the one that survived. */
  readonly everywhere: readonly WriteRow[];
  readonly survivor: readonly WriteRow[];
  /** Rows of the survivor's ledger by the id that the client gave them. */
  readonly booked: ReadonlyMap<string, number>;
  readonly ledger: { readonly rows: number; readonly summed: number };
}

/** Answered requests that the survivor's ledger has no row of. */
export function unbooked({ requests, booked }: Pick<DrillRecords, 'requests' | 'booked'>): readonly string[] {
  return requests.flatMap(({ callId, isAnswered }) => (isAnswered && !booked.has(callId) ? [callId] : []));
}

const mostListed = 20;

export function drillMeasurements(records: DrillRecords): DrillMeasurements {
  const { requests, writes, brokenAtMs, mendedAtMs, survivor, booked } = records;
  const answered = requests.filter(({ isAnswered }) => isAnswered);
  const there = new Set(survivor.map(({ write }) => write));
  const acknowledged = writes.filter(({ isAcknowledged }) => isAcknowledged);
  const lost = acknowledged.filter(({ alias }) => !there.has(alias));
  const lostMs = lost.map(({ atMs }) => atMs);
  const before = requests.filter(({ atMs, tookMs }) => atMs + tookMs < brokenAtMs);
  const after = requests.filter(({ atMs }) => atMs > mendedAtMs);
  const writeGap = writeGapSeconds(writes);
  const violations = violationsOf(
    historyOf(
      records,
      lost.map(({ alias }) => alias),
    ),
    {
      everywhere: records.everywhere,
      survivor,
      counted: booked,
      ledger: records.ledger,
      // By now everything was shipped: what is not booked is nowhere.
      kept: new Set(),
      writable: acknowledged.some(({ atMs }) => atMs > mendedAtMs),
    },
  );
  return {
    requests: requests.length,
    errorPercent: percent(requests.length - answered.length, requests.length),
    retriedPercent: percent(requests.filter(({ tries }) => tries > 1).length, requests.length),
    addedLatencyMs: rounded(Math.max(0, steadyLatencyMs(after) - steadyLatencyMs(before))),
    troubleSeconds: rounded(troubleSeconds(requests, brokenAtMs)),
    servingGapSeconds: rounded(servingGapSeconds(requests)),
    writeGapSeconds: writeGap === undefined ? null : rounded(writeGap),
    // From the oldest acknowledged write that is missing until the break, or until the newest: a region that was cut off
    // goes on until its lease is over.
    dataLossSeconds: lost.length === 0 ? 0 : rounded((Math.max(brokenAtMs, ...lostMs) - Math.min(...lostMs)) / 1000),
    acknowledgedWrites: acknowledged.length,
    lostWrites: lost.length,
    lostWritesList: list(lost.map(({ alias }) => alias)),
    spendEventsLost: unbooked(records).length,
    spendEventsDoubled: [...booked.values()].filter((count) => count > 1).length,
    invariantViolations: violations.length,
    violationsList: list(violations),
    epochHistory: records.epochs.map(({ epoch, writer, at }) => `${epoch} ${writer} since ${at}`).join('; '),
  };
}

/** In the order in which clients were told. */
function historyOf({ requests, writes, epochs, plannedEpochs, everywhere }: DrillRecords, lost: readonly string[]) {
  const regions = new Map(everywhere.map(({ write, region }) => [write, region]));
  const acknowledged = writes
    .filter(({ isAcknowledged }) => isAcknowledged)
    .toSorted((one, other) => one.endMs - other.endMs);
  return [
    ...epochs.map(({ epoch, writer }) => ({ is: 'epoch', epoch, writer, planned: plannedEpochs.has(epoch) }) as const),
    ...acknowledged.map(({ alias }) => ({
      is: 'acknowledged' as const,
      write: alias,
      region: regions.get(alias) ?? 'no region',
    })),
    ...requests.flatMap(({ callId, isAnswered }) => (isAnswered ? [{ is: 'accepted' as const, event: callId }] : [])),
    { is: 'reported', writes: lost.filter((alias) => regions.has(alias)) },
  ] satisfies HistoryEvent[];
}

const list = (items: readonly string[]): string => items.slice(0, mostListed).join('; ');
const rounded = (value: number): number => Math.round(value * 100) / 100;
const percent = (part: number, whole: number): number => rounded((100 * part) / Math.max(1, whole));
