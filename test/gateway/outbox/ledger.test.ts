import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../../runbooks/lab/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { event, idsIn, nobodyTold, openLedger, openTestOutbox, setBack } from './open-log.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

/** An outbox of its own folder; closed with the test. */
function open(url = database.url, keepRows = true, mostInMemory = 50_000) {
  const told = nobodyTold();
  const { ledger, pool } = openLedger(url, keepRows);
  const sizes = { segmentBytes: 64 * 1024, reserveBytes: 512, minFreeBytes: 0, mostInMemory };
  const outbox = openTestOutbox(join(directory, randomUUIDv7()), ledger, told, { sizes });
  onTestFinished(async () => {
    await outbox.close(1_000);
  });
  return { outbox, told, pool, ledger };
}

const some = (count: number) => Array.from({ length: count }, () => event());

describe('rows', () => {
  it('hold every fact of the event, and null for what is unknown', async () => {
    const { outbox } = open();
    const known = event({
      costMicros: 9_007_199_254_740_993n,
      reservedMicros: 5_000,
      callId: `it's "odd", {a} \\ é😀`,
      stream: true,
      accounts: ['a:key:k1', 'y:organization:o1'],
      keyId: 'k1',
      teamId: 't1',
      userId: 'u1',
      organizationId: 'o1',
      endUser: 'Ünal',
      tags: ['x', 'y'],
      metadata: { project: 'p', nested: { list: [1, 'two', null] } },
      cachedTokens: 3,
      usageDetail: { v: 1, reasoningTokens: 2 },
      firstByteMs: 44,
    });
    const unknown = event({
      costMicros: null,
      promptTokens: null,
      completionTokens: null,
      deploymentId: null,
      provider: null,
      model: null,
      ending: 'failed',
      status: 503,
    });
    outbox.end(known);
    outbox.end(unknown);
    expect(await outbox.close(5_000)).toBe(0);
    const rows = await query(
      database.url,
      `SELECT * FROM spend_entry WHERE id IN ('${known.requestId}', '${unknown.requestId}') ORDER BY seq`,
    );
    expect(rows[0]).toMatchObject({
      seq: 1n,
      at: new Date(known.startedAtMs),
      cost_micros: 9_007_199_254_740_993n,
      reserved_micros: 5_000n,
      ending: 'finished',
      accounts: ['a:key:k1', 'y:organization:o1'],
      call_id: `it's "odd", {a} \\ é😀`,
      key_hash: 'a'.repeat(64),
      key_id: 'k1',
      team_id: 't1',
      user_id: 'u1',
      organization_id: 'o1',
      end_user: 'Ünal',
      operation: 'chat',
      requested_model: 'chat',
      model_group: 'chat',
      deployment_id: 'deployment-0',
      provider: 'openai',
      model: 'upstream-model',
      status: 200,
      stream: true,
      prompt_tokens: 10,
      completion_tokens: 5,
      cached_tokens: 3,
      usage_detail: { v: 1, reasoningTokens: 2 },
      attempts: 1,
      fallbacks: 0,
      first_byte_ms: 44,
      duration_ms: 12,
      tags: ['x', 'y'],
      metadata: { project: 'p', nested: { list: [1, 'two', null] } },
    });
    expect(rows[1]).toMatchObject({ cost_micros: null, prompt_tokens: null, deployment_id: null, usage_detail: null });
  });

  it('come by themselves shortly after, thousands in a statement', async () => {
    const own = await migratedDatabase();
    const { outbox, pool } = open(own.url);
    let statements = 0;
    pool.on('acquire', () => statements++);
    const events = some(5_000);
    for (const one of events) outbox.end(one);
    expect(outbox.queued).toBe(5_000);
    expect(outbox.oldestUnshippedSeconds).toBeLessThan(30);
    await until(() => outbox.queued === 0);
    expect(await idsIn(own.url)).toEqual(events.map(({ requestId }) => requestId).toSorted());
    expect(statements).toBe(3);
    expect(outbox.oldestUnshippedSeconds).toBe(0);
    await outbox.close(1_000);
    await pool.end();
    await own.drop();
  });

  it('can be left out: then accounts and the sums of the day move all the same', async () => {
    const { outbox } = open(database.url, false);
    const accounts = [`a:key:${randomUUIDv7()}`];
    const events = some(3).map((one) => ({ ...one, accounts, keyHash: 'b'.repeat(64) }));
    for (const one of events) outbox.end(one);
    expect(await outbox.close(5_000)).toBe(0);
    expect(await idsIn(database.url, `key_hash = '${'b'.repeat(64)}'`)).toEqual([]);
    expect(
      await query(database.url, `SELECT spent_micros, lifetime_micros FROM account WHERE id = '${accounts[0]}'`),
    ).toEqual([{ spent_micros: 369n, lifetime_micros: 369n }]);
    expect(
      await query(database.url, `SELECT requests, cost_micros FROM spend_daily WHERE key_hash = '${'b'.repeat(64)}'`),
    ).toEqual([{ requests: 3n, cost_micros: 369n }]);
  });
});

describe('a value that the database will never take', () => {
  it.each([
    ['a number beyond its column', { status: 70_000 }, 123n],
    [
      'a character that text cannot hold',
      { callId: 'nul\u0000', endUser: '\ud800', metadata: { 'k\u0000': '\udfff' } },
      123n,
    ],
    ['more tokens than the column holds', { promptTokens: 2 ** 40 }, 123n],
    ['no valid time', { startedAtMs: Number.NaN }, 123n],
    [
      'a name that no index can hold',
      { endUser: noise(300), requestedModel: noise(300), teamId: noise(300), userId: noise(300) },
      123n,
    ],
    ['a cost beyond all money', { costMicros: 10n ** 30n }, null],
    ['an account that no index can hold', { accounts: [noise(4_000)] }, 123n],
  ])('such as %s: its money is booked without the rest, and the others are whole', async (_case, poison, cost) => {
    const { outbox, told } = open();
    const accounts = [`a:key:${randomUUIDv7()}`];
    const events = some(20).map((one, index) => ({ ...one, accounts, ...(index === 7 ? poison : {}) }));
    for (const one of events) outbox.end(one);
    expect(await outbox.close(10_000)).toBe(0);
    const ids = events.map(({ requestId }) => `'${requestId}'`).join(',');
    const rows = await query(database.url, `SELECT cost_micros, model FROM spend_entry WHERE id IN (${ids})`);
    expect(rows).toHaveLength(20);
    expect(rows.filter((row) => row['cost_micros'] === cost).length).toBe(cost === null ? 1 : 20);
    expect(rows.filter((row) => row['model'] === 'upstream-model').length).toBeGreaterThanOrEqual(19);
    const [account] = await query(database.url, `SELECT spent_micros FROM account WHERE id = '${accounts[0]}'`);
    expect(account?.['spent_micros']).toBe(cost === null || 'accounts' in poison ? 19n * 123n : 20n * 123n);
    expect(told.lost).toEqual([]);
  });
});

/** Text that cannot be compressed. */
function noise(length: number): string {
  return Array.from({ length: Math.ceil(length / 30) }, () => randomUUIDv7().slice(6))
    .join('')
    .slice(0, length);
}

describe('a database that is away', () => {
  it('and back, in the middle of a batch: nothing is lost, nothing is doubled, and what memory cannot hold waits on disk', async () => {
    const port = await freePort();
    const start = () => startPostgres({ dataDirectory: join(directory, 'away'), port, settings: { fsync: 'off' } });
    let server = await start();
    onTestFinished(() => server.stop('immediate'));
    await migrate(server.url());
    const { outbox, told } = open(server.url(), true, 1_000);
    const events = some(9_000);
    const end = (from: number, to: number): void => {
      for (const one of events.slice(from, to)) outbox.end(one);
    };
    end(0, 1_000);
    await until(() => outbox.queued === 0);
    // In the middle of a batch: what was taken and not acknowledged comes again.
    end(1_000, 4_000);
    await until(() => outbox.queued < 3_000);
    end(4_000, 6_000);
    server.kill('SIGKILL');
    await server.exited;
    end(6_000, 9_000);
    await until(() => told.failures.length > 0);
    expect(outbox.queued).toBeGreaterThanOrEqual(3_000);
    server = await start();
    await until(() => outbox.queued === 0);
    expect(await idsIn(server.url())).toEqual(events.map(({ requestId }) => requestId).toSorted());
    expect(told.lost).toEqual([]);
  });

  it.each([
    [
      'has become a replica',
      (name: string) => `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      (name: string) => `BEGIN READ WRITE; ALTER DATABASE ${name} RESET ALL; COMMIT`,
    ],
    [
      'has no table yet',
      () => 'ALTER TABLE spend_entry RENAME TO elsewhere',
      () => 'ALTER TABLE elsewhere RENAME TO spend_entry',
    ],
    [
      'gives no permission',
      () => `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE insufficient_privilege; END $$;
             CREATE TRIGGER no BEFORE INSERT ON spend_entry FOR EACH ROW EXECUTE FUNCTION no()`,
      () => 'DROP TRIGGER no ON spend_entry',
    ],
  ])('that %s loses nothing: spend waits until it is mended', async (_case, damage, mend) => {
    const own = await migratedDatabase();
    const name = new URL(own.url).pathname.slice(1);
    await query(own.url, damage(name));
    const { outbox, pool, told } = open(own.url);
    const events = some(3);
    for (const one of events) outbox.end(one);
    await until(() => told.failures.length > 0);
    expect(told.reduced).toEqual([]);
    expect(outbox.queued).toBe(3);
    await query(own.url, mend(name));
    // The setting of a database reaches new connections only; a failover makes new ones too.
    await query(
      own.url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND datname = current_database()`,
    );
    await until(() => outbox.queued === 0);
    expect(await idsIn(own.url)).toEqual(events.map(({ requestId }) => requestId).toSorted());
    await outbox.close(1_000);
    await pool.end();
    await own.drop();
  });
});

describe('a ledger that was set back', () => {
  it('as a replica that was promoted, gets the rest again from disk, also when nothing new happens', async () => {
    const { outbox, told } = open(database.url);
    const events = some(1_000);
    for (const one of events) outbox.end(one);
    await until(() => outbox.queued === 0);
    const { logId } = outbox.heartbeat;
    await setBack(database.url, logId, 13);
    await outbox.heartbeat.beat();
    expect(outbox.queued).toBe(987);
    await until(() => outbox.queued === 0);
    expect(await idsIn(database.url, `log_id = '${logId}'`)).toEqual(
      events.map(({ requestId }) => requestId).toSorted(),
    );
    expect(told.lost).toEqual([]);
  });

  it('further than this machine remembers goes on with what there is, and it is counted what is missing', async () => {
    const told = nobodyTold();
    const { ledger } = openLedger(database.url);
    const outbox = openTestOutbox(join(directory, randomUUIDv7()), ledger, told, { retainSeconds: 0 });
    const events = some(100);
    for (const one of events) {
      outbox.end(one);
      outbox.flush();
    }
    await until(() => outbox.queued === 0);
    await outbox.maintain();
    const { logId } = outbox.heartbeat;
    await setBack(database.url, logId, 2);
    outbox.end(event());
    await outbox.heartbeat.beat();
    await until(() => outbox.queued === 0);
    const missing = 101 - (await idsIn(database.url, `log_id = '${logId}'`)).length;
    expect(missing).toBeGreaterThan(0);
    expect(told.lost).toEqual([missing]);
    await outbox.close(1_000);
  });
});

it('a log that was closed from outside is followed by a new one: what runs ends in the old one, and admission is told', async () => {
  const { outbox, ledger } = open();
  const before = outbox.heartbeat.logId;
  let told = '';
  outbox.heartbeat.onClosed(() => {
    told = outbox.heartbeat.logId;
  });
  await outbox.heartbeat.beat();
  expect(outbox.heartbeat.live).toBeGreaterThanOrEqual(1);
  expect(outbox.heartbeat.rank).toBeLessThan(outbox.heartbeat.live ?? 0);
  expect(outbox.heartbeat.silentMs).toBeLessThan(5_000);
  const [running, later] = [event(), event()];
  await outbox.begin(running);
  await query(database.url, `SELECT abandon_log('${before}')`);
  await outbox.heartbeat.beat();
  const after = outbox.heartbeat.logId;
  expect(after).not.toBe(before);
  expect(told).toBe(after);
  await outbox.begin(later);
  outbox.end(running);
  outbox.end(later);
  await until(() => outbox.queued === 0);
  expect(await idsIn(database.url, `log_id = '${before}'`)).toEqual([running.requestId]);
  expect(await idsIn(database.url, `log_id = '${after}'`)).toEqual([later.requestId]);
  await outbox.close(5_000);
  const positions = await ledger.positions([before, after]);
  expect([...positions.values()].map(({ closed }) => closed)).toEqual([true, true]);
});
