import { describe, expect, it } from 'vitest';
import { type DrillRecords, drillMeasurements } from '../../../runbooks/lab/drill-measurements.ts';
import type { WriteRow } from '../../../runbooks/lab/region-history.ts';
import type { LoadEntry, WriteEntry } from '../../../runbooks/load/ledger-clients.ts';

const request = (callId: string, atMs: number): LoadEntry => ({ callId, atMs, tookMs: 10, tries: 1, isAnswered: true });
const write = (alias: string, atMs: number): WriteEntry => ({ alias, atMs, endMs: atMs + 10, isAcknowledged: true });
const row = (name: string, region: string, epoch: number, more: Partial<WriteRow> = {}): WriteRow => ({
  write: name,
  region,
  epoch,
  rowEpoch: epoch,
  rowWriter: region,
  ...more,
});

/** A failover at 1,000 that ends at 2,000; nothing is lost. */
const sound = (): DrillRecords => {
  const survivor = [row('one', 'a', 1), row('two', 'b', 2)];
  return {
    requests: [request('r-1', 0), request('r-2', 2_500)],
    writes: [write('one', 0), write('two', 2_500)],
    brokenAtMs: 1_000,
    mendedAtMs: 2_000,
    epochs: [
      { epoch: 1, writer: 'a', at: 'then' },
      { epoch: 2, writer: 'b', at: 'later' },
    ],
    plannedEpochs: new Set(),
    everywhere: survivor,
    survivor,
    booked: new Map([
      ['r-1', 1],
      ['r-2', 1],
    ]),
    ledger: { rows: 2, summed: 2 },
  };
};

describe('what a drill says of its records', () => {
  it('nothing was lost, doubled or against the rules, and who wrote when', () => {
    expect(drillMeasurements(sound())).toMatchObject({
      acknowledgedWrites: 2,
      lostWrites: 0,
      dataLossSeconds: 0,
      spendEventsLost: 0,
      spendEventsDoubled: 0,
      invariantViolations: 0,
      violationsList: '',
      epochHistory: '1 a since then; 2 b since later',
    });
  });

  it('a write of an isolated region in its own epoch is lost and listed; that is no violation, its age is the data loss', () => {
    const records = sound();
    const measured = drillMeasurements({
      ...records,
      writes: [write('late', 400), write('later', 1_500), ...records.writes],
      everywhere: [...records.everywhere, row('late', 'a', 1), row('later', 'a', 1)],
    });
    expect(measured).toMatchObject({
      lostWrites: 2,
      lostWritesList: 'late; later',
      dataLossSeconds: 1.1,
      invariantViolations: 0,
    });
  });

  it.each<[string, (records: DrillRecords) => DrillRecords]>([
    [
      'I1',
      (records) => ({
        ...records,
        writes: [...records.writes, write('both', 2_600)],
        everywhere: [...records.everywhere, row('both', 'a', 2)],
      }),
    ],
    [
      'I2',
      (records) => ({
        ...records,
        writes: [...records.writes, write('old', 2_600)],
        everywhere: [...records.everywhere, row('old', 'a', 1)],
      }),
    ],
    [
      'I3',
      (records) => ({
        ...records,
        survivor: [row('one', 'a', 1), row('two', 'b', 2, { rowEpoch: 1, rowWriter: 'a' })],
      }),
    ],
    ['I4', (records) => ({ ...records, booked: new Map([['r-1', 1]]), ledger: { rows: 1, summed: 1 } })],
    ['I4', (records) => ({ ...records, ledger: { rows: 2, summed: 3 } })],
    [
      // No database knows it: nobody can list it for those who would apply it again.
      'I5',
      (records) => ({ ...records, writes: [write('gone', 500), ...records.writes] }),
    ],
    ['I6', (records) => ({ ...records, plannedEpochs: new Set([2]), survivor: [row('two', 'b', 2)] })],
    ['stuck', (records) => ({ ...records, writes: [write('one', 0)] })],
  ])('finds a violation of %s', (name, change) => {
    const { invariantViolations, violationsList } = drillMeasurements(change(sound()));
    expect(invariantViolations).toBeGreaterThan(0);
    expect(violationsList).toContain(name);
  });
});
