/** What a drill's ledger and the survivor's database say together, over the processes that a run went through. Pure. */
import type { DrillMeasurements } from '../books/drill.ts';
import { servingGapSeconds, writeGapSeconds } from '../load/ledger-clients.ts';
import type { Ledger } from '../load/ledger-file.ts';
import { ledgerMeasurements, rounded } from '../load/ledger-measurements.ts';
import type { SurvivingRows } from './surviving-rows.ts';

/** Gaps are those of one process's clients: between two processes nobody asked, so nobody was failed. */
export function measured(
  ledger: Ledger,
  found: SurvivingRows,
  mendedAtMs: number,
  epochHistory: string,
): DrillMeasurements {
  const { sessions, marks, awaySeconds } = ledger;
  const brokenAtMs = marks.get('broken') ?? marks.get('compared') ?? mendedAtMs;
  const gaps = sessions.flatMap(({ writes }) => writeGapSeconds(writes) ?? []);
  return {
    ...ledgerMeasurements({
      requests: sessions.flatMap(({ requests }) => requests),
      writes: sessions.flatMap(({ writes }) => writes),
      brokenAtMs,
      mendedAtMs,
      ...found,
    }),
    servingGapSeconds: rounded(Math.max(0, ...sessions.map(({ requests }) => servingGapSeconds(requests)))),
    writeGapSeconds: gaps.length === 0 ? null : rounded(Math.max(...gaps)),
    ...(sessions.length > 1 && { clientsAwaySeconds: rounded(awaySeconds) }),
    // No database in AWS notes which region made a row.
    invariantViolations: null,
    violationsList: '',
    epochHistory,
  };
}
