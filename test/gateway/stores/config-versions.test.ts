/** Which configurations that were live once are kept. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigVersions } from '../../../gateway/stores/config-versions.ts';
import { LeaderLease } from '../../../gateway/stores/leader-lease.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

let database: TestDatabase;
let pool: Pool;
beforeEach(async () => {
  database = await migratedDatabase();
  pool = openPool({ url: database.url, poolSize: 2, onError: () => undefined });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

/** Versions 1 to `count`, the last of them made so many days ago, one a day before it. */
const history = (count: number, lastDaysAgo: number, fromSource: number): Promise<unknown> =>
  query(
    database.url,
    `INSERT INTO config_version (sha256, content, sealed, source, from_source, created_by, leader_epoch, created_at)
     SELECT repeat('a', 64), 'x', false, 'push', n = ${fromSource}, 'somebody', 1,
            clock_timestamp() - make_interval(days => ${count} - n + ${lastDaysAgo})
       FROM generate_series(1, ${count}) n`,
  );

async function addOne(text: string): Promise<void> {
  const { epoch } = await new LeaderLease(pool, 'config_sync', 30).take('a process');
  const sha256 = createHash('sha256').update(text).digest('hex');
  await new ConfigVersions(pool, undefined).add(
    { text, sha256, source: 'push', fromSource: false, createdBy: 'somebody' },
    { lease: 'config_sync', epoch },
  );
}

const versions = async (): Promise<number[]> =>
  (await query(database.url, 'SELECT version::int FROM config_version ORDER BY 1')).map((row) =>
    Number(row['version']),
  );
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);

it('the newest 200 stay however old they are, with the newest of the source and what a process runs on; the rest goes', async () => {
  await history(250, 400, 3);
  await query(
    database.url,
    `INSERT INTO gateway_process (id, host, pid, gateway_version, started_at, seen_at, config_version, config_sha256)
     VALUES ('runs', 'h', 1, '1', now(), now(), 5, 'x'), ('left', 'h', 1, '1', now(), now() - interval '2 hours', 6, 'x')`,
  );
  await addOne('newest');
  expect(await versions()).toEqual([3, 5, ...range(52, 251)]);
});

it('every version that was live in the last 90 days stays, however many there are', async () => {
  await history(300, 0, 300);
  await addOne('newest');
  // All 200 newest, of which those of 90 days are fewer.
  expect(await versions()).toEqual(range(102, 301));
  await history(250, 0, 1);
  await query(database.url, `UPDATE config_version SET created_at = clock_timestamp() - interval '80 days'`);
  const before = await versions();
  await addOne('one more');
  expect(await versions()).toEqual([...before, (before.at(-1) ?? 0) + 1]);
});

it('the one that is live stays, be it years old, and its text can be had', async () => {
  await history(1, 1_000, 1);
  await addOne('newest');
  expect(await versions()).toEqual([1, 2]);
  expect(await new ConfigVersions(pool, undefined).textOf(2n)).toBe('newest');
});
