/** A region that nobody else can be reached from: what its processes tell each other without a shared disk. */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { within } from '../support/quiet-machine.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { wireGateway } from '../support/wired-gateway.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
let upstream: Upstream;
let redis: RedisServer;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream' });
  redis = await startRedis({ port: await freePort() });
});
afterAll(async () => {
  await redis.stop();
  await upstream.close();
  await database.drop();
});

/** Of the region west, on a disk of its own; the writer, east, does not answer. */
const gatewayInWest = (): Promise<TestGateway> =>
  startTestGateway({
    config: configFor([upstream.url]),
    databaseUrl: database.url,
    dataDirectory: join(directory, randomUUIDv7()),
    environment: {
      REDIS_URL: redis.url,
      HOLDFAST_REGION: 'west',
      HOLDFAST_REGION_ADDRESSES: 'east=http://127.0.0.1:9',
      HOLDFAST_REGION_SECRET: 'a-secret-of-all-the-regions',
    },
  });

const statusFor = async (gateway: TestGateway, key: string): Promise<number> => {
  const response = await gateway.post('/v1/chat/completions', hello, { authorization: `Bearer ${key}` });
  await response.arrayBuffer();
  return response.status;
};

it('a key that is blocked at one gateway is refused by the others in less than a second, and by one that starts later', async () => {
  const maker = await wireGateway({ databaseUrl: database.url, dataDirectory: join(directory, 'maker') });
  const made = await Promise.all([1, 2].map(() => maker.ok('/key/generate', {})));
  const [key = '', later = ''] = made.map((body) => String(body['key']));
  await maker.close();
  await query(database.url, `SELECT name_first_region('east')`);
  const gateways = await Promise.all([gatewayInWest(), gatewayInWest()]);
  onTestFinished(() => Promise.all(gateways.map((gateway) => gateway.stop())).then(() => undefined));
  const [one, other] = gateways;
  for (const gateway of gateways) for (const each of [key, later]) expect(await statusFor(gateway, each)).toBe(200);

  const answer = await one.post('/key/block', { key });
  const blockedAt = performance.now();
  expect([answer.status, await answer.json()]).toEqual([200, { blocked: true, pending: true }]);
  await until(async () => (await statusFor(other, key)) === 401);
  expect(performance.now() - blockedAt).toBeLessThan(within(1_000));

  const third = await gatewayInWest();
  onTestFinished(() => third.stop().then(() => undefined));
  await until(async () => (await statusFor(third, key)) === 401, within(2_000));

  // Redis forgets everything, and is away while the next one is blocked: whoever knows it says it again.
  redis.kill('SIGKILL');
  await redis.exited;
  expect((await other.post('/key/block', { key: later })).status).toBe(200);
  expect(await statusFor(one, later)).toBe(200);
  redis = await startRedis({ port: redis.port });
  await until(async () => (await statusFor(one, later)) === 401, 5_000);
}, 60_000);
