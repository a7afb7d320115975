import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { SpendWriter } from '../../../gateway/stores/spend.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../../runbooks/lab/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { spendEvent } from '../examples.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

interface Made {
  readonly writer: SpendWriter;
  readonly pool: Pool;
  readonly dropped: { readonly count: number; readonly reason: string }[];
  readonly failures: Error[];
  readonly inserts: () => number;
}

function open(url = database.url): Made {
  const pool = openPool({ url, poolSize: 2, onError: () => undefined });
  const dropped: Made['dropped'] = [];
  const failures: Error[] = [];
  let inserts = 0;
  pool.on('acquire', () => inserts++);
  const writer = new SpendWriter({
    pool,
    onDropped: (count, reason) => dropped.push({ count, reason }),
    onFlushFailed: (error) => failures.push(error),
  });
  onTestFinished(async () => {
    await writer.close();
    await pool.end();
  });
  return { writer, pool, dropped, failures, inserts: () => inserts };
}

const idsIn = async (url: string): Promise<string[]> =>
  (await query(url, 'SELECT request_id::text AS id FROM spend_event')).map((row) => String(row['id'])).toSorted();

const some = (count: number): string[] => Array.from({ length: count }, () => randomUUIDv7());

describe('spend rows', () => {
  it('hold every fact of the event, money to the last digit, and null for what is unknown', async () => {
    const { writer } = open();
    const [known = '', unknown = ''] = some(2);
    const beyondDouble = 9_007_199_254_740_993n;
    writer.record(spendEvent(known, { costMicros: beyondDouble, callId: `it's "odd", {a} \\ é😀`, stream: true }));
    writer.record(
      spendEvent(unknown, {
        costMicros: null,
        promptTokens: null,
        completionTokens: null,
        deploymentId: null,
        provider: null,
        model: null,
        ending: 'failed',
        status: 503,
      }),
    );
    expect(await writer.close()).toBe(0);
    const rows = await query(database.url, `SELECT * FROM spend_event WHERE request_id IN ('${known}', '${unknown}')`);
    expect(rows.find((row) => row['request_id'] === known)).toMatchObject({
      cost_micros: beyondDouble,
      call_id: `it's "odd", {a} \\ é😀`,
      stream: true,
      prompt_tokens: 10,
      status: 200,
      started_at: new Date(1_700_000_000_000),
    });
    expect(rows.find((row) => row['request_id'] === unknown)).toMatchObject({
      cost_micros: null,
      prompt_tokens: null,
      deployment_id: null,
      ending: 'failed',
    });
  });

  it('are written by themselves shortly after, thousands in a statement', async () => {
    const own = await migratedDatabase();
    onTestFinished(() => own.drop());
    const { writer, inserts } = open(own.url);
    const ids = some(5_000);
    for (const id of ids) writer.record(spendEvent(id));
    expect(writer.queued).toBe(5_000);
    await until(() => writer.queued === 0);
    expect(await idsIn(own.url)).toEqual(ids.toSorted());
    expect(inserts()).toBe(3);
  });

  it('that come twice are kept once', async () => {
    const { writer } = open();
    const [id = ''] = some(1);
    writer.record(spendEvent(id));
    writer.record(spendEvent(id));
    await writer.flush();
    writer.record(spendEvent(id));
    await writer.flush();
    expect((await idsIn(database.url)).filter((known) => known === id)).toHaveLength(1);
  });

  it('without a database cost nothing', () => {
    const writer = new SpendWriter({ pool: undefined, onDropped: () => undefined, onFlushFailed: () => undefined });
    writer.record(spendEvent('x'));
    expect(writer.queued).toBe(0);
  });
});

describe('a database that is away', () => {
  it('and back, in the middle of a write: nothing is lost, nothing is doubled', async () => {
    const dataDirectory = join(directory, 'away');
    const port = await freePort();
    const start = () => startPostgres({ dataDirectory, port, settings: { fsync: 'off' } });
    let server = await start();
    onTestFinished(() => server.stop('immediate'));
    await migrate(server.url());
    const { writer, failures, dropped } = open(server.url());
    const ids = some(6_000);
    const record = (from: number, to: number): void => {
      for (const id of ids.slice(from, to)) writer.record(spendEvent(id));
    };
    record(0, 1_000);
    await writer.flush();
    // In the middle of a flush: what was written and not acknowledged comes again.
    record(1_000, 4_000);
    const flushing = writer.flush();
    server.kill('SIGKILL');
    await server.exited;
    await flushing;
    record(4_000, 6_000);
    await writer.flush();
    expect(failures.length).toBeGreaterThan(0);
    expect(writer.queued).toBeGreaterThanOrEqual(2_000);
    server = await start();
    await until(() => writer.queued === 0, 15_000);
    expect(await idsIn(server.url())).toEqual(ids.toSorted());
    expect(dropped).toEqual([]);
  });

  it.each([
    [
      'has become a replica',
      (name: string) => `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      (name: string) => `BEGIN READ WRITE; ALTER DATABASE ${name} RESET ALL; COMMIT`,
    ],
    [
      'has no table yet',
      () => 'ALTER TABLE spend_event RENAME TO elsewhere',
      () => 'ALTER TABLE elsewhere RENAME TO spend_event',
    ],
    [
      'gives no permission',
      () => `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE insufficient_privilege; END $$;
             CREATE TRIGGER no BEFORE INSERT ON spend_event FOR EACH ROW EXECUTE FUNCTION no()`,
      () => 'DROP TRIGGER no ON spend_event',
    ],
  ])('that %s loses nothing: the rows wait until it is mended', async (_case, damage, mend) => {
    const own = await migratedDatabase();
    onTestFinished(() => own.drop());
    const name = new URL(own.url).pathname.slice(1);
    await query(own.url, damage(name));
    const { writer, pool, dropped, failures } = open(own.url);
    const ids = some(3);
    for (const id of ids) writer.record(spendEvent(id));
    await writer.flush();
    expect(failures).toHaveLength(1);
    expect(dropped).toEqual([]);
    expect(writer.queued).toBe(3);
    await query(own.url, mend(name));
    // The setting of a database reaches new connections only; a failover makes new ones too.
    await query(
      own.url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND datname = current_database()`,
    );
    await until(() => pool.idleCount === 0);
    await until(() => writer.queued === 0);
    expect(await idsIn(own.url)).toEqual(ids.toSorted());
  });
});

describe('a row that the database will never take', () => {
  it.each([
    ['breaks a constraint', { ending: 'finished' as const, status: 70_000 }],
    ['holds a character that text cannot hold', { callId: 'nul\u0000' }],
    ['holds more tokens than the column', { promptTokens: 2 ** 40 }],
    ['has no valid time', { startedAtMs: Number.NaN }],
  ])('since it %s, is given up and counted, and the others are written', async (_case, poison) => {
    const { writer, dropped } = open();
    const ids = some(20);
    for (const [index, id] of ids.entries()) writer.record(spendEvent(id, index === 7 ? poison : {}));
    await writer.flush();
    expect(writer.queued).toBe(0);
    expect(dropped.map(({ count }) => count)).toEqual([1]);
    const written = await idsIn(database.url);
    expect(ids.filter((id) => written.includes(id))).toEqual(ids.filter((_, index) => index !== 7));
  });
});

describe('the queue', () => {
  it('has a bound: the oldest are given up and counted, and memory does not grow', async () => {
    const { writer, dropped } = open(`postgresql://nobody@127.0.0.1:${await freePort()}/none`);
    const event = spendEvent(randomUUIDv7());
    for (let count = 0; count < 120_000; count++) writer.record(event);
    expect(writer.queued).toBeLessThanOrEqual(50_000);
    const given = dropped.reduce((sum, { count }) => sum + count, 0);
    expect(given + writer.queued).toBe(120_000);
    expect(dropped[0]?.reason).toBe('the queue is full');
  });

  it('close says how many could not be written, and does not wait for ever', async () => {
    const { writer } = open(`postgresql://nobody@127.0.0.1:${await freePort()}/none`);
    for (const id of some(7)) writer.record(spendEvent(id));
    expect(await writer.close()).toBe(7);
  });
});
