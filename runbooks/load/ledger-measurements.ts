/** What the clients' ledger and the survivor's database say together. Pure. */
import type { DrillMeasurements } from '../books/drill.ts';
import {
  type LoadEntry,
  servingGapSeconds,
  steadyLatencyMs,
  troubleSeconds,
  type WriteEntry,
  writeGapSeconds,
} from './ledger-clients.ts';

export interface LedgerRecords {
  /** Requests that ended long enough ago for their spend to be on its way no more. */
  readonly requests: readonly LoadEntry[];
  readonly writes: readonly WriteEntry[];
  /** Milliseconds, on the same clock as the ledger. */
  readonly brokenAtMs: number;
  readonly mendedAtMs: number;
  /** Aliases of the keys that the survivor's database has. */
  readonly survivors: ReadonlySet<string>;
  /** Rows of the survivor's ledger by the id that the client gave them. */
  readonly booked: ReadonlyMap<string, number>;
}

export type LedgerMeasurements = Omit<DrillMeasurements, 'invariantViolations' | 'violationsList' | 'epochHistory'>;

/** Answered requests that the survivor's ledger has no row of. */
export function unbooked({ requests, booked }: Pick<LedgerRecords, 'requests' | 'booked'>): readonly string[] {
  return requests.flatMap(({ callId, isAnswered }) => (isAnswered && !booked.has(callId) ? [callId] : []));
}

/** Acknowledged writes that the survivor's database does not have. */
export const lostWrites = ({ writes, survivors }: Pick<LedgerRecords, 'writes' | 'survivors'>): readonly WriteEntry[] =>
  writes.filter(({ alias, isAcknowledged }) => isAcknowledged && !survivors.has(alias));

const mostListed = 20;

export function ledgerMeasurements(records: LedgerRecords): LedgerMeasurements {
  const { requests, writes, brokenAtMs, mendedAtMs, booked } = records;
  const answered = requests.filter(({ isAnswered }) => isAnswered);
  const lost = lostWrites(records);
  const lostMs = lost.map(({ atMs }) => atMs);
  const before = requests.filter(({ atMs, tookMs }) => atMs + tookMs < brokenAtMs);
  const after = requests.filter(({ atMs }) => atMs > mendedAtMs);
  const writeGap = writeGapSeconds(writes);
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
    acknowledgedWrites: writes.filter(({ isAcknowledged }) => isAcknowledged).length,
    lostWrites: lost.length,
    lostWritesList: list(lost.map(({ alias }) => alias)),
    spendEventsLost: unbooked(records).length,
    spendEventsDoubled: [...booked.values()].filter((count) => count > 1).length,
  };
}

/** The first 20, as a fact of a journal. */
export const list = (items: readonly string[]): string => items.slice(0, mostListed).join('; ');
export const rounded = (value: number): number => Math.round(value * 100) / 100;
const percent = (part: number, whole: number): number => rounded((100 * part) / Math.max(1, whole));
