import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../runbooks/lab/postgres.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let directory: string;
let port: number;
let postgres: PostgresServer;
let upstream: Upstream;

const startDatabase = () =>
  startPostgres({ dataDirectory: join(directory, 'postgres'), port, settings: { fsync: 'off' } });

beforeAll(async () => {
  directory = await temporaryDirectory();
  port = await freePort();
  postgres = await startDatabase();
  await migrate(postgres.url());
  upstream = await startUpstream({ name: 'the upstream' });
});

afterAll(async () => {
  await upstream.close();
  await postgres.stop('immediate');
});

const config = () => configFor([upstream.url]);

it('a key survives the loss of the database, in the running gateway and across a restart; a stranger gets 503 and not 401; every row arrives later, also of a process that was killed', async () => {
  const dataDirectory = join(directory, 'data');
  const first = await startTestGateway({ config: config(), databaseUrl: postgres.url(), dataDirectory });
  const key = await newKey(first, { key_alias: 'survivor' });
  expect((await chatWith(first, key)).status).toBe(200);
  // The snapshot is written within seconds; it is what the restart below lives on.
  await until(
    async () =>
      (await first.request('/health/ready')).status === 200 && (await hasSnapshotOf(dataDirectory, 'survivor')),
  );

  postgres.kill('SIGKILL');
  await postgres.exited;
  expect((await chatWith(first, key)).status).toBe(200);
  const stranger = await chatWith(first, 'sk-a-key-that-nobody-knows-here');
  expect(stranger.status).toBe(503);
  expect(stranger.headers.get('retry-after')).toBe('5');
  await until(async () => (await readiness(first)).status === 'degraded');
  expect(await readiness(first)).toMatchObject({ httpStatus: 200, db: 'disconnected' });
  // Nobody lets it say goodbye.
  first.kill('SIGKILL');
  await first.exited;
  await first.stop();

  const second = await startTestGateway({ config: config(), databaseUrl: postgres.url(), dataDirectory });
  expect((await chatWith(second, key)).status).toBe(200);
  expect(await readiness(second)).toMatchObject({ status: 'degraded', httpStatus: 200 });

  postgres = await startDatabase();
  await until(async () => (await readiness(second)).status === 'healthy');
  await until(async () => {
    const [row] = await query(postgres.url(), `SELECT count(*)::int AS n FROM spend_entry WHERE status = 200`);
    return row?.['n'] === 3;
  });
  await second.stop();
});

it('a deleted key is refused by every process within seconds', async () => {
  const [one, two] = await Promise.all([
    startTestGateway({ config: config(), databaseUrl: postgres.url() }),
    startTestGateway({ config: config(), databaseUrl: postgres.url() }),
  ]);
  const key = await newKey(one, {});
  expect((await chatWith(two, key)).status).toBe(200);
  const deletedAt = performance.now();
  expect((await one.post('/key/delete', { keys: [key] })).status).toBe(200);
  expect((await chatWith(one, key)).status).toBe(401);
  await until(async () => (await chatWith(two, key)).status === 401);
  expect(performance.now() - deletedAt).toBeLessThan(3_000);
  await Promise.all([one.stop(), two.stop()]);
});

it('without a database and without a snapshot the start fails with one clear error that holds no password', async () => {
  const url = `postgresql://holdfast:not-for-your-eyes@127.0.0.1:${await freePort()}/holdfast`;
  const gateway = await startTestGateway({ config: config(), databaseUrl: url, expectFailure: true });
  expect((await gateway.exited).code).toBe(1);
  const output = await gateway.output();
  expect(output).toMatch(
    /PostgreSQL at 127\.0\.0\.1:\d+\/holdfast cannot be reached \(ECONNREFUSED\), and there is no snapshot/,
  );
  expect(output).not.toContain('not-for-your-eyes');
  await gateway.stop();
});

it('a database without tables is named as such, with the command that makes them', async () => {
  await query(postgres.url(), 'CREATE DATABASE empty');
  const gateway = await startTestGateway({ config: config(), databaseUrl: postgres.url('empty'), expectFailure: true });
  expect((await gateway.exited).code).toBe(1);
  expect(await gateway.output()).toContain('has no tables yet. Run: holdfast migrate');
  await gateway.stop();
});

const chatWith = (gateway: TestGateway, key: string): Promise<Response> =>
  gateway.post('/v1/chat/completions', hello, { authorization: `Bearer ${key}` });

async function newKey(gateway: TestGateway, body: object): Promise<string> {
  return z.object({ key: z.string() }).parse(await (await gateway.post('/key/generate', body)).json()).key;
}

async function readiness(gateway: TestGateway): Promise<Record<string, unknown>> {
  const response = await gateway.request('/health/ready');
  return { ...z.record(z.string(), z.unknown()).parse(await response.json()), httpStatus: response.status };
}

async function hasSnapshotOf(dataDirectory: string, alias: string): Promise<boolean> {
  try {
    return (await readFile(join(dataDirectory, 'snapshot.json'), 'utf8')).includes(alias);
  } catch {
    // Not written yet.
    return false;
  }
}
