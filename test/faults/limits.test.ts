/** Rate limits over three gateways and a real Redis, up, frozen, gone, flushed; and over Sentinels and a Cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { lazyCluster, lazySentinels } from '../support/redis-sets.ts';
import { chat, makeKey, tell } from './site.ts';

const windowMs = 4_000;
const slotExpiryMs = 2_000;
const sentinels = lazySentinels();
const cluster = lazyCluster();

let database: TestDatabase;
let upstream: Upstream;
let redis: RedisServer;
let redisPort: number;
let gateways: TestGateway[];
/** Of requests that ask for it, until they may go on. */
let held = Promise.withResolvers<void>();
/** Wall clock, milliseconds. */
const arrivals: { readonly at: number; readonly who: string }[] = [];

const start = (environment: Readonly<Record<string, string>>) =>
  startTestGateway({
    config: configFor([upstream.url], 'router_settings: {num_retries: 0}'),
    databaseUrl: database.url,
    environment: {
      LITELLM_RATE_LIMIT_WINDOW_SIZE: String(windowMs / 1_000),
      HOLDFAST_SLOT_EXPIRY_SECONDS: String(slotExpiryMs / 1_000),
      ...environment,
    },
  });

beforeAll(async () => {
  database = await migratedDatabase();
  redisPort = await freePort();
  redis = await startRedis({ port: redisPort });
  upstream = await startUpstream({
    name: 'counting',
    intercept: async ({ body }, response) => {
      const who = typeof body['user'] === 'string' ? body['user'] : '';
      arrivals.push({ at: Date.now(), who });
      if (who.startsWith('held')) await held.promise;
      // All that was allowed is used.
      const used = Number(body['max_tokens']);
      sendJson(response, 200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: 'm',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 2, completion_tokens: used, total_tokens: 2 + used },
      });
      return true;
    },
  });
  gateways = await Promise.all([1, 2, 3].map(() => start({ REDIS_URL: redis.url })));
  await connected(gateways);
});

afterAll(async () => {
  held.resolve();
  redis.kill('SIGCONT');
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.stop();
  await upstream.close();
  await database.drop();
});

/** Every gateway knows both others, and speaks to Redis. */
async function connected(all: readonly TestGateway[], status = 'connected'): Promise<void> {
  await until(async () => {
    const pages = await Promise.all(all.map(async (one) => (await one.request('/health/ready')).text()));
    return pages.every((page) => page.includes(`"cache":{"type":"redis","status":"${status}"`));
  }, 15_000);
}

/** A key that every gateway knows, without a request that counts. */
async function newKey(fields: object, all: readonly TestGateway[] = gateways): Promise<string> {
  const [first] = all;
  if (first === undefined) throw new Error('no gateway');
  const key = await makeKey(first, fields);
  for (const one of all) {
    await until(async () => {
      const answer = await one.request('/v1/models', { headers: { authorization: `Bearer ${key}` } });
      await answer.text();
      return answer.status === 200;
    });
  }
  return key;
}

const nextWindow = (): Promise<void> => sleep(windowMs - (Date.now() % windowMs) + 30);

/** So many at once, evenly over the gateways. @returns how many got which status. */
async function burst(key: string, count: number, over: object = {}, all: readonly TestGateway[] = gateways) {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const gateway = all[index % all.length];
      if (gateway === undefined) throw new Error('no gateway');
      const answer = await chat(gateway, key, over);
      await answer.text();
      return answer.status;
    }),
  );
  return Object.fromEntries(
    Object.entries(Object.groupBy(answers, String)).map(([one, found]) => [one, found?.length]),
  );
}

const arrivedOf = (who: string): number[] => arrivals.filter((one) => one.who === who).map(({ at }) => at);
/** Arrivals in each window of the common clock. */
const perWindow = (times: readonly number[]): Map<number, number> =>
  new Map(
    [...Map.groupBy(times, (at) => Math.floor(at / windowMs))].map(([window, all]) => [window, all.length] as const),
  );

/** Every state ends with a Redis that is up and known to be. */
const states = [
  { state: 'up', happens: async () => undefined, heals: async () => undefined },
  {
    state: 'frozen',
    happens: async () => {
      redis.kill('SIGSTOP');
      await connected(gateways, 'disconnected');
    },
    heals: async () => {
      redis.kill('SIGCONT');
      await connected(gateways);
    },
  },
  {
    state: 'gone',
    happens: async () => {
      redis.kill('SIGKILL');
      await redis.exited;
      await connected(gateways, 'disconnected');
    },
    heals: async () => {
      redis = await startRedis({ port: redisPort });
      await connected(gateways);
    },
  },
] as const;

describe.each(states)('with Redis $state, of three gateways together', ({ happens, heals }) => {
  it('a key gets its rpm and not one request more, its tpm and not one token more, and its parallel requests', async () => {
    const byRequests = await newKey({ rpm_limit: 12 });
    const byTokens = await newKey({ tpm_limit: 1_500 });
    const bySlots = await newKey({ max_parallel_requests: 6 });
    await happens();
    try {
      await nextWindow();
      const [requests, tokens] = await Promise.all([burst(byRequests, 45), burst(byTokens, 45)]);
      expect(requests).toEqual({ 200: 12, 429: 33 });
      // Each uses 102 and sets aside about 126, the prompt being unknown: three fit into a share, eleven into all.
      expect(Object.keys(tokens)).toEqual(['200', '429']);
      expect(tokens['200']).toBeGreaterThanOrEqual(9);
      expect((tokens['200'] ?? 0) * 102).toBeLessThanOrEqual(1_500);

      held = Promise.withResolvers();
      const waiting = burst(bySlots, 30, { user: 'held' });
      const before = arrivedOf('held').length;
      await until(() => arrivedOf('held').length === before + 6);
      // Who waits for nothing has been refused by now.
      await sleep(300);
      expect(arrivedOf('held').length).toBe(before + 6);
      held.resolve();
      expect(await waiting).toEqual({ 200: 6, 429: 24 });
      await until(async () => (await burst(bySlots, 3))['200'] === 3, 5_000);
    } finally {
      await heals();
    }
  }, 40_000);
});

it('parallel slots of a gateway that is killed come back once it has been silent for the expiry, and not before', async () => {
  const key = await newKey({ max_parallel_requests: 4 });
  const doomed = await start({ REDIS_URL: redis.url });
  await connected([doomed]);
  held = Promise.withResolvers();
  const before = arrivedOf('held by the doomed').length;
  const lost = Promise.allSettled(Array.from({ length: 4 }, () => chat(doomed, key, { user: 'held by the doomed' })));
  await until(() => arrivedOf('held by the doomed').length === before + 4);
  expect(await burst(key, 3)).toEqual({ 429: 3 });
  doomed.kill('SIGKILL');
  const killedAtMs = performance.now();
  await doomed.exited;
  await lost;
  expect(await burst(key, 3)).toEqual({ 429: 3 });
  await until(async () => (await burst(key, 3))['200'] === 3, slotExpiryMs + 3_000);
  tell('slots of a killed gateway', { freeAfterMs: performance.now() - killedAtMs });
  expect(performance.now() - killedAtMs).toBeGreaterThan(slotExpiryMs / 2);
  held.resolve();
  await doomed.stop();
}, 30_000);

/** Three clients in a loop, until `done`. @returns statuses. */
async function flood(key: string, who: string, all: readonly TestGateway[], done: Promise<void>): Promise<number[]> {
  const statuses: number[] = [];
  const end = new AbortController();
  void done.then(() => end.abort());
  await Promise.all(
    all.map(async (gateway) => {
      while (!end.signal.aborted) {
        const answer = await chat(gateway, key, { user: who });
        await answer.text();
        statuses.push(answer.status);
        await sleep(20);
      }
    }),
  );
  return statuses;
}

it('R3: FLUSHALL under load costs at most one more limit in that window; no request fails, and no budget is overrun', async () => {
  const limit = 30;
  const key = await newKey({ rpm_limit: limit, max_budget: 1 });
  const client = new Redis(redis.url);
  await nextWindow();
  const first = Math.floor(Date.now() / windowMs);
  const work = (async () => {
    await until(() => arrivedOf('flushed').length >= limit);
    await client.flushall();
    await sleep(2.2 * windowMs - (Date.now() % windowMs));
  })();
  const statuses = await flood(key, 'flushed', gateways, work);
  client.disconnect();
  const windows = perWindow(arrivedOf('flushed'));
  tell('R3 FLUSHALL', { limit, windows: Object.fromEntries(windows) });
  expect([...new Set(statuses)].toSorted((a, b) => a - b)).toEqual([200, 429]);
  // A request may be let through in one window and arrive in the next.
  const slip = gateways.length;
  expect(windows.get(first)).toBeLessThanOrEqual(2 * limit + slip);
  expect(windows.get(first + 1)).toBeLessThanOrEqual(limit + slip);
}, 40_000);

it.each([
  {
    set: 'R3: Sentinels that promote a replica',
    open: async () => {
      const set = await sentinels();
      return {
        environment: {
          REDIS_SENTINEL_NODES: set.sentinels.map(({ host, port }) => `${host}:${port}`).join(','),
          REDIS_SERVICE_NAME: set.name,
        },
        kill: async () => {
          const primary = await set.primary();
          primary.kill('SIGKILL');
          await until(async () => (await set.primary()).port !== primary.port, 15_000);
        },
      };
    },
  },
  {
    set: 'R3: a Cluster that loses a primary',
    open: async () => {
      const set = await cluster();
      return {
        environment: { REDIS_CLUSTER_NODES: set.nodes.map(({ host, port }) => `${host}:${port}`).join(',') },
        kill: async () => {
          set.servers[0]?.kill('SIGKILL');
          await set.servers[0]?.exited;
        },
      };
    },
  },
])(
  '$set: no request fails, and the limit is exact again',
  async ({ open }) => {
    const { environment, kill } = await open();
    const own = await Promise.all([start(environment), start(environment)]);
    try {
      await connected(own);
      // Several, so that some of them live on each node of a cluster.
      const keys = await Promise.all(Array.from({ length: 6 }, () => newKey({ rpm_limit: 10 }, own)));
      const [first = ''] = keys;
      await nextWindow();
      expect(await burst(first, 30, {}, own)).toEqual({ 200: 10, 429: 20 });
      const busy = Promise.withResolvers<void>();
      const flooded = Promise.all(keys.map((key) => flood(key, 'failover', own, busy.promise)));
      await kill();
      await sleep(windowMs);
      busy.resolve();
      const statuses = (await flooded).flat();
      expect([...new Set(statuses)].toSorted((a, b) => a - b)).toEqual([200, 429]);
      await connected(own);
      // The first window in which every key's node answers again.
      await until(async () => {
        await nextWindow();
        const counts = await Promise.all(keys.map((key) => burst(key, 20, {}, own)));
        return counts.every((count) => count['200'] === 10 && count['429'] === 10);
      }, 20_000);
    } finally {
      await Promise.all(own.map((gateway) => gateway.stop()));
    }
  },
  60_000,
);
