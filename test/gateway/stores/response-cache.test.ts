import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openRedis } from '../../../gateway/stores/redis.ts';
import { RedisResponseCache } from '../../../gateway/stores/response-cache.ts';
import { type FaultProxy, faultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/processes.ts';
import { within } from '../../support/quiet-machine.ts';
import { freshRedis, type TestRedis } from '../../support/redis.ts';
import { lazyCluster } from '../../support/redis-sets.ts';

const cluster = lazyCluster();
let redis: TestRedis;
beforeAll(async () => {
  redis = await freshRedis();
});
afterAll(() => redis.flush());

async function open(options: { url?: string; namespace?: string } = {}) {
  const changes: string[] = [];
  const store = new RedisResponseCache({
    redis: options.url ?? redis.url,
    namespace: options.namespace ?? 'test',
    onError: () => undefined,
    onChange: (state) => changes.push(state),
  });
  onTestFinished(() => store.close());
  store.start();
  await until(async () => (await store.look('warm', undefined)).is === 'yours');
  return { store, changes };
}

const bytes = Buffer.from([0, 255, 10, 13]);
const lock = (token: string) => ({ token, forMs: 5_000 });

describe('answers in Redis', () => {
  it('come back as the bytes they were, for as long as they live', async () => {
    const { store } = await open();
    store.keep('a', bytes, 200, undefined);
    await until(async () => (await store.look('a', undefined)).is === 'found');
    expect(await store.look('a', undefined)).toEqual({ is: 'found', bytes });
    expect(await store.look('a', lock('one'))).toEqual({ is: 'found', bytes });
    await until(async () => (await store.look('a', undefined)).is === 'yours');
  });

  it('are asked for by one process at a time; an answer or a failure of that one ends the lock, nobody else’s', async () => {
    const [{ store: one }, { store: two }] = [await open(), await open()];
    expect(await one.look('b', lock('one'))).toEqual({ is: 'yours' });
    expect(await two.look('b', lock('two'))).toEqual({ is: 'awaited' });
    two.unlock('b', 'two');
    expect(await two.look('b', lock('two'))).toEqual({ is: 'awaited' });
    one.unlock('b', 'one');
    await until(async () => (await two.look('b', lock('two'))).is === 'yours');
    two.keep('b', bytes, 5_000, 'two');
    await until(async () => (await one.look('b', lock('one'))).is === 'found');
  });

  it('are removed by name, and all of a namespace without touching anything else', async () => {
    const { store } = await open();
    const { store: other } = await open({ namespace: 'te*t' });
    const client = openRedis(redis.url, 'test', () => undefined);
    onTestFinished(() => client.disconnect());
    await client.connect();
    await client.set('holdfast:limit:x', '1');
    for (let serial = 0; serial < 60; serial++) store.keep(`c${serial}`, bytes, 60_000, undefined);
    other.keep('c', bytes, 60_000, undefined);
    await until(async () => (await store.look('c59', undefined)).is === 'found');
    await store.remove(['c0']);
    expect(await store.look('c0', undefined)).toEqual({ is: 'yours' });
    // Its star is no pattern.
    expect(await other.removeAll()).toBe(1);
    expect(await store.removeAll()).toBeGreaterThanOrEqual(59);
    expect(await store.look('c59', undefined)).toEqual({ is: 'yours' });
    expect(await client.get('holdfast:limit:x')).toBe('1');
  });

  it('a key of somebody else’s type is no answer and no outage', async () => {
    const { store, changes } = await open();
    const client = openRedis(redis.url, 'test', () => undefined);
    onTestFinished(() => client.disconnect());
    await client.connect();
    await client.lpush('holdfast:cache:test:{list}', 'x');
    for (let count = 0; count < 5; count++) expect(await store.look('list', undefined)).toEqual({ is: 'away' });
    expect(changes).toEqual([]);
    await store.ping();
    expect((await store.info())['redis_version']).toMatch(/^\d/);
  });
});

describe('a Redis that', () => {
  async function throughProxy() {
    const proxy = await faultProxy({ port: Number(new URL(redis.url).port) });
    return { proxy, ...(await open({ url: `redis://${proxy.address}${new URL(redis.url).pathname}` })) };
  }

  it.each<[string, (proxy: FaultProxy) => Promise<void>]>([
    ['hangs', (proxy) => proxy.set({ freeze: 'both' })],
    ['is slow', (proxy) => proxy.set({ latencyMs: 2_000 })],
    [
      'is gone',
      async (proxy) => {
        await proxy.set({ accept: 'refuse' });
        proxy.cut();
      },
    ],
  ])(
    '%s costs the first requests 250 ms, the next ones nothing, one line in the log, and is used again when it is well',
    async (_, harm) => {
      const { proxy, store, changes } = await throughProxy();
      await harm(proxy);
      const timed = async (): Promise<number> => {
        const startedAt = performance.now();
        expect(await store.look('x', lock('t'))).toEqual({ is: 'away' });
        return performance.now() - startedAt;
      };
      const first = [await timed(), await timed(), await timed()];
      expect(Math.max(...first)).toBeLessThan(within(400));
      const next = await Promise.all(Array.from({ length: 100 }, timed));
      expect(Math.max(...next)).toBeLessThan(within(30));
      for (let serial = 0; serial < 1_000; serial++) store.keep(`k${serial}`, bytes, 1_000, undefined);
      expect(changes).toEqual(['open']);
      await proxy.heal();
      await until(async () => (await store.look('x', undefined)).is === 'yours');
      expect(changes).toEqual(['open', 'closed']);
    },
  );

  it('is a Cluster keeps, finds, locks and flushes on all of its nodes', async () => {
    const { nodes } = await cluster();
    const store = new RedisResponseCache({
      redis: { target: { is: 'cluster', nodes }, database: 0 },
      namespace: 'test',
      onError: () => undefined,
      onChange: () => undefined,
    });
    onTestFinished(() => store.close());
    store.start();
    await until(async () => (await store.look('warm', lock('t'))).is === 'yours');
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    for (const key of keys) {
      expect(await store.look(key, lock('t'))).toEqual({ is: 'yours' });
      store.keep(key, bytes, 60_000, 't');
    }
    await until(async () =>
      (await Promise.all(keys.map((key) => store.look(key, undefined)))).every(({ is }) => is === 'found'),
    );
    expect(await store.removeAll()).toBeGreaterThanOrEqual(20);
    expect(await store.look('key-7', undefined)).toEqual({ is: 'yours' });
  });
});
