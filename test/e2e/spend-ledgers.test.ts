import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../runbooks/lab/postgres.ts';
import { configFor, hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { agreed, bookkeepingUpstream, Clients, databaseEntries, reconcile } from '../support/ledgers.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let directory: string;
let port: number;
let postgres: PostgresServer;
let upstream: Awaited<ReturnType<typeof bookkeepingUpstream>>;

const startDatabase = () =>
  startPostgres({ dataDirectory: join(directory, 'postgres'), port, settings: { fsync: 'off' } });

beforeAll(async () => {
  directory = await temporaryDirectory();
  port = await freePort();
  postgres = await startDatabase();
  await migrate(postgres.url());
  upstream = await bookkeepingUpstream({ name: 'the upstream', chunkEveryMs: 1 });
});

afterAll(async () => {
  await upstream.close();
  await postgres.stop('immediate');
});

const config = () => `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
general_settings: {outbox_retain_seconds: 0}`;

it('clients, upstream and database agree after gateways were killed with SIGKILL again and again, and the database once', async () => {
  const dataDirectory = join(directory, 'data');
  const ports = [await freePort(), await freePort()];
  const start = (index: number): Promise<TestGateway> =>
    startTestGateway({ config: config(), databaseUrl: postgres.url(), dataDirectory, port: ports[index] ?? 0 });
  const gateways = await Promise.all([start(0), start(1)]);
  const clients = new Clients(gateways.map(({ url }) => url));
  const load = clients.run(12);
  for (let kill = 0; kill < 3; kill++) {
    const answered = clients.answered;
    await until(() => clients.answered > answered + 30);
    const victim = gateways[kill % 2];
    victim?.kill('SIGKILL');
    await victim?.exited;
    if (kill === 1) {
      postgres.kill('SIGKILL');
      await postgres.exited;
    }
    gateways[kill % 2] = await start(kill % 2);
    if (kill === 1) postgres = await startDatabase();
  }
  await sleep(100);
  clients.stop();
  await load;
  // Both leave in order; what the dead left is recovered by whoever is there.
  await until(async () => (await openLogs()) <= 2, 20_000);
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  expect(await openLogs()).toBe(0);
  const database = await databaseEntries(postgres.url());
  expect(reconcile({ clients: clients.entries, upstreams: upstream.entries, database })).toEqual(agreed);
  expect(clients.answered).toBeGreaterThan(90);
  expect(database.some(({ ending }) => ending === 'interrupted')).toBe(true);
  const mispriced = database.filter(
    ({ ending, promptTokens, completionTokens, costMicros }) =>
      ending === 'finished' && costMicros !== BigInt((promptTokens ?? 0) + 2 * (completionTokens ?? 0)),
  );
  expect(mispriced).toEqual([]);
}, 60_000);

it('the replacement of a killed worker recovers what the dead one was doing', async () => {
  const slow = await bookkeepingUpstream({ name: 'a slow upstream that takes its time', chunkEveryMs: 2_000 });
  // Of its own: in the other one a leader that was killed still holds its lease, and its configuration is live.
  const database = await migratedDatabase();
  const gateway = await startTestGateway({
    config: configFor([slow.url]),
    databaseUrl: database.url,
    workers: 2,
  });
  onTestFinished(async () => {
    await gateway.stop();
    await slow.close();
    await database.drop();
  });
  const workers = async (): Promise<number[]> =>
    (await gateway.output())
      .split('\n')
      .filter((line) => line.includes('accepts requests'))
      .map((line) => Number(/"pid":(\d+)/.exec(line)?.[1]));
  await until(async () => (await workers()).length === 2);
  const cut = gateway
    .post('/v1/chat/completions', { ...hello, stream: true }, { 'x-litellm-call-id': 'cut', connection: 'close' })
    .then((answer) => answer.text())
    .catch(() => 'cut');
  await until(() => slow.requests.length === 1);
  // Whichever of them has it.
  for (const pid of await workers()) process.kill(pid, 'SIGKILL');
  await cut;
  const rows = () => query(database.url, `SELECT ending, cost_micros FROM spend_entry WHERE call_id = 'cut'`);
  // At its start, or with its next look ten seconds later when the dead one's lock was still held then.
  await until(async () => (await rows()).length === 1, 25_000);
  expect(await rows()).toEqual([{ ending: 'interrupted', cost_micros: null }]);
}, 60_000);

const openLogs = async (): Promise<number> =>
  Number((await query(postgres.url(), 'SELECT count(*)::int AS n FROM spend_log WHERE closed_at IS NULL'))[0]?.['n']);
