/** What the clients' ledger, the databases and the claim say together about a drill. Pure. */
import type { DrillMeasurements } from '../books/drill.ts';
import { type LedgerRecords, ledgerMeasurements, list, lostWrites } from '../load/ledger-measurements.ts';
import { type HistoryEvent, violationsOf, type WriteRow } from './region-history.ts';
import type { EpochSeen } from './two-regions.ts';

export interface DrillRecords extends Omit<LedgerRecords, 'survivors'> {
  readonly epochs: readonly EpochSeen[];
  /** Epochs that a planned move began. */
  readonly plannedEpochs: ReadonlySet<number>;
  /** Writes of every database there ever was, and those of the one that survived. */
  readonly everywhere: readonly WriteRow[];
  readonly survivor: readonly WriteRow[];
  readonly ledger: { readonly rows: number; readonly summed: number };
}

export function drillMeasurements(records: DrillRecords): DrillMeasurements {
  const { writes, mendedAtMs, survivor, booked } = records;
  const survivors = new Set(survivor.map(({ write }) => write));
  const lost = lostWrites({ writes, survivors }).map(({ alias }) => alias);
  const violations = violationsOf(historyOf(records, lost), {
    everywhere: records.everywhere,
    survivor,
    counted: booked,
    ledger: records.ledger,
    // By now everything was shipped: what is not booked is nowhere.
    kept: new Set(),
    writable: writes.some(({ atMs, isAcknowledged }) => isAcknowledged && atMs > mendedAtMs),
  });
  return {
    ...ledgerMeasurements({ ...records, survivors }),
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
