import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { UsageExchange } from '../../../gateway/stores/usage-exchange.ts';
import { freshRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let client: Redis;

beforeAll(async () => {
  redis = await freshRedis();
  client = new Redis(redis.url);
});
afterEach(() => redis.flush());
afterAll(() => client.disconnect());

let serial = 0;

/** One process; its clock began at some moment that no other knows. */
function open(startedMs = 0) {
  let shiftMs = startedMs;
  const load = new LoadBook({ now: () => performance.now() + shiftMs, latencyTtlSeconds: 60 });
  const exchange = new UsageExchange({ processId: `process-${serial++}`, deploymentIds: ['a', 'b'], ledger: load });
  return {
    load,
    tell: () => exchange.run(client),
    send: (id: string, requests: number, tokens = 0) => {
      for (let request = 0; request < requests; request++) load.begin(id)();
      load.use(id, tokens);
    },
    usage: (id: string) => {
      const { requests, tokens } = load.of(id);
      return { requests, tokens };
    },
    wait: (milliseconds: number) => {
      shiftMs += milliseconds;
    },
  };
}

/** Redis's minute must not change between two exchanges of a test; few of them come near its end. */
async function earlyInMinute(): Promise<void> {
  const [seconds] = await client.time();
  const left = 60 - (Number(seconds) % 60);
  if (left <= 3) await new Promise((resolve) => setTimeout(resolve, left * 1000 + 50));
}

describe('usage of a deployment', () => {
  it('is what all processes used together, each of which counts its own at once', async () => {
    await earlyInMinute();
    const [one, two] = [open(12_345), open(999_999)];
    await one.tell();
    await two.tell();
    one.send('a', 3, 300);
    two.send('a', 4, 50);
    two.send('b', 1);
    expect(one.usage('a')).toEqual({ requests: 3, tokens: 300 });
    await one.tell();
    await two.tell();
    await one.tell();
    for (const each of [one, two]) {
      expect(each.usage('a')).toEqual({ requests: 7, tokens: 350 });
      expect(each.usage('b')).toEqual({ requests: 1, tokens: 0 });
    }
    one.send('a', 1, 1);
    expect(one.usage('a')).toEqual({ requests: 8, tokens: 351 });
  });

  it('is known to a process that starts in the middle of the minute, and what it counted before stays', async () => {
    await earlyInMinute();
    const one = open();
    await one.tell();
    one.send('a', 5, 5);
    await one.tell();
    const late = open(777);
    late.send('a', 2, 2);
    await late.tell();
    expect(late.usage('a')).toEqual({ requests: 7, tokens: 7 });
    await late.tell();
    await one.tell();
    expect(one.usage('a')).toEqual({ requests: 7, tokens: 7 });
  });

  it('is counted once, however often it is told', async () => {
    await earlyInMinute();
    const [one, two] = [open(), open()];
    await one.tell();
    one.send('a', 5, 50);
    for (let time = 0; time < 5; time++) await one.tell();
    await two.tell();
    expect(two.usage('a')).toEqual({ requests: 5, tokens: 50 });
    expect(one.usage('a')).toEqual({ requests: 5, tokens: 50 });
  });

  it('ends with the minute, also where nobody tells of the next one', async () => {
    await earlyInMinute();
    const [one, two] = [open(), open()];
    await one.tell();
    one.send('a', 5, 50);
    await one.tell();
    await two.tell();
    expect(two.usage('a').requests).toBe(5);
    two.wait(60_000);
    expect(two.usage('a')).toEqual({ requests: 0, tokens: 0 });
  });

  it('of an earlier minute that Redis still holds is not taken for the running one', async () => {
    await client.hset('holdfast:usage', 'minute', '1', 'r:a', '99', 't:a', '99');
    const one = open();
    await one.tell();
    expect(one.usage('a')).toEqual({ requests: 0, tokens: 0 });
    expect(await client.pttl('holdfast:usage')).toBeGreaterThan(60_000);
  });
});

it('with Redis away a process goes by its own counts', async () => {
  const gone = new Redis(redis.url, { lazyConnect: true, enableOfflineQueue: false });
  const { load, send, usage } = open();
  const exchange = new UsageExchange({ processId: 'alone', deploymentIds: ['a'], ledger: load });
  send('a', 2, 20);
  await expect(exchange.run(gone)).rejects.toThrow();
  expect(usage('a')).toEqual({ requests: 2, tokens: 20 });
});
