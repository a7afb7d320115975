import { randomUUIDv7 } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { type Housekeeping, reasonToSkip, SpendHousekeeping } from '../../../gateway/stores/spend-housekeeping.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await migratedDatabase();
});
afterEach(() => database.drop());

/** One round; @returns what was done. */
async function round(retentionDays?: number, times = 1): Promise<Housekeeping[]> {
  const pool = openPool({ url: database.url, poolSize: 4, onError: () => undefined });
  const done: Housekeeping[] = [];
  const housekeeping = new SpendHousekeeping({
    pool,
    retentionDays,
    region: 'local',
    onSkipped: () => expect.unreachable(),
    onDone: (one) => done.push(one),
    onFailed: (error) => expect.unreachable(error.message),
  });
  await Promise.all(Array.from({ length: times }, () => housekeeping.round()));
  await pool.end();
  return done;
}

const partitions = async (): Promise<string[]> =>
  (
    await query(
      database.url,
      `SELECT right(c.relname, 8) AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = 'spend_entry'::regclass AND c.relname ~ '\\d{8}$' ORDER BY 1`,
    )
  ).map((row) => String(row['day']));

const insert = (day: string) =>
  query(
    database.url,
    `INSERT INTO spend_entry (day, id, log_id, seq, at, ending, key_hash, cost_micros)
     VALUES (${day}, '${randomUUIDv7()}', '${randomUUIDv7()}', 1, now(), 'finished', 'k', 5)`,
  );

const count = async (sql: string): Promise<unknown> => (await query(database.url, sql))[0]?.['n'];

describe('partitions', () => {
  it('are there for days to come, and rows that came before theirs move into it', async () => {
    const [last = ''] = (await partitions()).slice(-1);
    await query(database.url, `DROP TABLE spend_entry_${last}`);
    await insert(`'${last}'`);
    expect(await count('SELECT count(*)::int AS n FROM spend_entry_default')).toBe(1);
    const [done] = await round();
    expect(done).toMatchObject({ preparedPartitions: 1, droppedPartitions: 0 });
    expect(await count('SELECT count(*)::int AS n FROM spend_entry_default')).toBe(0);
    expect(await count(`SELECT count(*)::int AS n FROM spend_entry_${last}`)).toBe(1);
  });

  it('beyond the retention are dropped, stragglers too, and the sums of their days stay', async () => {
    await query(database.url, 'SELECT prepare_spend_partitions(current_date - 5, 3)');
    for (const day of ['current_date', 'current_date - 4', 'current_date - 3', 'current_date - 400']) await insert(day);
    const [done] = await round(3);
    expect(done).toMatchObject({ droppedPartitions: 2 });
    expect(await count('SELECT count(*)::int AS n FROM spend_entry')).toBe(2);
    expect(await count('SELECT sum(requests)::int AS n FROM spend_daily')).toBe(4);
    expect((await round())[0]).toMatchObject({ droppedPartitions: 0 });
  });

  it('are looked after by one process when several have the same idea', async () => {
    const [last = ''] = (await partitions()).slice(-1);
    await query(database.url, `DROP TABLE spend_entry_${last}`);
    const done = await round(30, 4);
    expect(done).toHaveLength(4);
    expect(done.reduce((sum, { preparedPartitions }) => sum + preparedPartitions, 0)).toBe(1);
  });

  it('give way to a report that reads them: shipping never waits behind it', async () => {
    await query(database.url, 'SELECT prepare_spend_partitions(current_date - 5, 3)');
    const report = openPool({ url: database.url, poolSize: 1, onError: () => undefined });
    const reader = await report.connect();
    await reader.query('BEGIN; SELECT count(*) FROM spend_entry');
    const failures: Error[] = [];
    const pool = openPool({ url: database.url, poolSize: 2, onError: () => undefined });
    const options = {
      pool,
      retentionDays: 3,
      region: 'local',
      onSkipped: () => expect.unreachable(),
      onDone: () => expect.unreachable(),
      onFailed: (error: Error) => failures.push(error),
    };
    await new SpendHousekeeping(options).round();
    expect(failures[0]?.message).toMatch(/lock timeout/);
    reader.release(true);
    await Promise.all([report.end(), pool.end()]);
  });
});

it('a log that nobody has heard of for 24 hours is given up and what it held is free again; one of 23 hours is not', async () => {
  const [lost, late] = [randomUUIDv7(), randomUUIDv7()];
  await query(
    database.url,
    `SELECT put_account('a:key:x', 1000, NULL, NULL);
     SELECT grant_slices('${lost}', '{a:key:x}', '{0}', '{0}', '{100}', '{1}', '{0}');
     SELECT grant_slices('${late}', '{a:key:x}', '{0}', '{0}', '{30}', '{1}', '{0}');
     UPDATE spend_log SET seen_at = now() - interval '24 hours 1 minute' WHERE id = '${lost}';
     UPDATE spend_log SET seen_at = now() - interval '23 hours' WHERE id = '${late}'`,
  );
  expect((await round())[0]).toMatchObject({ abandonedLogs: 1 });
  expect(await query(database.url, 'SELECT id, closed_at IS NULL AS open FROM spend_log ORDER BY open')).toEqual([
    { id: lost, open: false },
    { id: late, open: true },
  ]);
  expect(await query(database.url, 'SELECT leased_micros FROM account')).toEqual([{ leased_micros: 30n }]);
});

it('slices of logs that were closed a day ago are removed, and late events of such a log are still booked once', async () => {
  const [old, fresh] = [randomUUIDv7(), randomUUIDv7()];
  await query(
    database.url,
    `SELECT put_account('a:key:x', 1000, NULL, NULL);
     SELECT grant_slices('${old}', '{a:key:x}', '{0}', '{0}', '{100}', '{1}', '{0}');
     SELECT grant_slices('${fresh}', '{a:key:x}', '{0}', '{0}', '{30}', '{1}', '{0}');
     SELECT close_log('${old}', 0);
     SELECT close_log('${fresh}', 0);
     UPDATE spend_log SET closed_at = now() - interval '25 hours' WHERE id = '${old}'`,
  );
  expect((await round())[0]).toMatchObject({ removedSlices: 1 });
  expect(await query(database.url, 'SELECT log_id FROM slice')).toEqual([{ log_id: fresh }]);
  expect(await query(database.url, 'SELECT id FROM spend_log WHERE closed_at IS NOT NULL')).toHaveLength(2);
  const event = `[{"id":"${randomUUIDv7()}","day":"${new Date().toISOString().slice(0, 10)}","at":${Date.now()},"cost":7,"ending":"finished","accounts":["a:key:x"],"key":"k"}]`;
  for (let time = 0; time < 2; time++) await query(database.url, `SELECT ship_events('${old}', 1, '${event}')`);
  expect(await query(database.url, 'SELECT spent_micros, leased_micros, lifetime_micros FROM account')).toEqual([
    { spent_micros: 7n, leased_micros: 0n, lifetime_micros: 7n },
  ]);
});

it('a database that another region writes, or that was promoted and not raised, is left alone; why is said once', async () => {
  const said: (string | undefined)[] = [];
  const pool = openPool({ url: database.url, poolSize: 1, onError: () => undefined });
  const done: Housekeeping[] = [];
  const housekeeping = new SpendHousekeeping({
    pool,
    retentionDays: undefined,
    region: 'west',
    onSkipped: (because) => said.push(because),
    onDone: (one) => done.push(one),
    onFailed: (error) => expect.unreachable(error.message),
  });
  for (let time = 0; time < 2; time++) await housekeeping.round();
  expect([said, done]).toEqual([['its row names local, and this is west'], []]);
  await query(database.url, `SELECT name_first_region('west')`);
  await housekeeping.round();
  expect(said).toEqual(['its row names local, and this is west', undefined]);
  expect(done).toHaveLength(1);
  await pool.end();
});

it('a replica is left alone', () => {
  expect(reasonToSkip({ is_replica: true, writer: 'east' }, 'west')).toBe(
    'it is a replica, and east keeps the original',
  );
});
