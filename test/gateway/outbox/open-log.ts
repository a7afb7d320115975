/** Logs and outboxes for tests: small segments, no large files, a real ledger. */
import { randomUUIDv7 } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { SegmentArchive, SpendEvent } from '../../../gateway/domain/spend.ts';
import { LogArchiver } from '../../../gateway/outbox/archive.ts';
import { LogStore, type RecoveredLog } from '../../../gateway/outbox/log-store.ts';
import { Outbox, type OutboxOptions, type OutboxSizes } from '../../../gateway/outbox/outbox.ts';
import { SpendLog } from '../../../gateway/outbox/spend-log.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { PostgresSpendLedger } from '../../../gateway/stores/spend.ts';
import { query } from '../../support/query.ts';
import { spendEvent } from '../examples.ts';

type LogSizes = Omit<OutboxSizes, 'minFreeBytes'>;
export const smallSizes: LogSizes = { segmentBytes: 4_096, reserveBytes: 512, mostInMemory: 50_000 };

export const openLog = (root: string, over: Partial<LogSizes> = {}, id: string = randomUUIDv7()): SpendLog =>
  new SpendLog({ ...smallSizes, ...over, root, id, newId: randomUUIDv7, onDisk: () => undefined });

export interface TestLedger {
  readonly ledger: PostgresSpendLedger;
  readonly pool: Pool;
}

/** Ends with the test. */
export function openLedger(url: string, keepRows = true): TestLedger {
  const pool = openPool({ url, poolSize: 4, onError: () => undefined });
  onTestFinished(async () => {
    if (!pool.ended) await pool.end();
  });
  return { pool, ledger: new PostgresSpendLedger({ pool, keepRows }) };
}

export interface Told {
  readonly recovered: RecoveredLog[];
  readonly lost: number[];
  readonly reduced: string[];
  readonly failures: Error[];
  readonly disk: (Error | undefined)[];
  interrupted: number;
}

export const nobodyTold = (): Told => ({
  recovered: [],
  lost: [],
  reduced: [],
  failures: [],
  disk: [],
  interrupted: 0,
});

export function openStore(
  root: string,
  ledger: PostgresSpendLedger,
  told: Told,
  retainSeconds = 3_600,
  archive?: SegmentArchive,
): LogStore {
  return new LogStore({
    ...(archive && { archiver: new LogArchiver(archive, (error) => told.failures.push(error)) }),
    root,
    ledger,
    retainSeconds,
    mayForget: () => true,
    isOwn: () => false,
    onRecovered: (log) => told.recovered.push(log),
    onLost: (_log, count) => told.lost.push(count),
    onReduced: (id) => told.reduced.push(id),
    onFailed: (error) => told.failures.push(error),
  });
}

export function openTestOutbox(
  directory: string,
  ledger: OutboxOptions['ledger'],
  told: Told,
  over: Partial<OutboxOptions> = {},
): Outbox {
  return new Outbox({
    directory,
    ledger,
    maxBytes: 64 * 1024 * 1024,
    retainSeconds: 3_600,
    mayForget: () => true,
    newId: randomUUIDv7,
    onReduced: (id) => told.reduced.push(id),
    onLost: (_log, count) => told.lost.push(count),
    onRecovered: (log) => told.recovered.push(log),
    onInterrupted: (count) => {
      told.interrupted += count;
    },
    onDisk: (fault) => told.disk.push(fault),
    onFailed: (_what, error) => told.failures.push(error),
    sizes: { ...smallSizes, minFreeBytes: 0 },
    ...over,
  });
}

/** An event of now, so that its partition is there. */
export const event = (over: Partial<SpendEvent> = {}): SpendEvent =>
  spendEvent(randomUUIDv7(), { startedAtMs: Date.now(), ...over });

export const rowsIn = (url: string, where = 'true') =>
  query(url, `SELECT id, log_id, ending, cost_micros, call_id FROM spend_entry WHERE ${where} ORDER BY log_id, seq`);

export const idsIn = async (url: string, where?: string): Promise<string[]> =>
  (await rowsIn(url, where)).map((row) => String(row['id'])).toSorted();

/** As a replica that was promoted, or a backup that was restored, may have it. */
export const setBack = (url: string, logId: string, to: number) =>
  query(
    url,
    `DELETE FROM spend_entry WHERE log_id = '${logId}' AND seq > ${to};
     UPDATE spend_log SET applied_seq = ${to}, closed_at = NULL WHERE id = '${logId}'`,
  );
