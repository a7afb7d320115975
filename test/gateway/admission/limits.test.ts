import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Reservation } from '../../../gateway/domain/admission.ts';
import { Refusal } from '../../../gateway/domain/errors.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../../runbooks/lab/redis.ts';
import { until } from '../../support/processes.ts';
import { freshRedis, type TestRedis } from '../../support/redis.ts';
import {
  type AtEnd,
  type Instance,
  type InstanceOptions,
  isAdmitted,
  limited,
  scope,
  startInstance,
} from './instances.ts';

let redis: TestRedis;
let serial = 0;
beforeAll(async () => {
  redis = await freshRedis();
});
afterAll(() => redis.flush());

const fresh = (): string => `${redis.prefix}${serial++}`;
/** Cases within one window have a long one: its end is not to come in between. */
const hourMs = 3_600_000;
/** For cases that go on in the next window. They mostly wait, and so do it at the same time. */
const windowMs = 2_000;
const shortWindows = { settings: { rateWindowMs: windowMs } };
/** Three processes know of each other. */
const three = (atEnd: AtEnd, options: InstanceOptions = {}) =>
  Promise.all(
    [0, 1, 2].map((rank) =>
      startInstance(
        {
          redisUrl: redis.url,
          siblings: { logId: '', live: 3, rank },
          ...options,
          settings: { rateWindowMs: hourMs, slotExpiryMs: 3_000, ...options.settings },
        },
        atEnd,
      ),
    ),
  );

/** A window has just begun; Redis and this process share a clock here. */
const beginning = (): Promise<void> => sleep(windowMs - (Date.now() % windowMs) + 30);

const many = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function burst(
  instances: readonly Instance[],
  count: number,
  limits: Parameters<typeof limited>[1],
  id = fresh(),
) {
  const own = [limited(id, limits)];
  const answers = await Promise.all(many(count).map((index) => at(instances, index).ask(own)));
  return answers.filter(isAdmitted).length;
}

describe.concurrent('requests in a window', () => {
  it('are exactly the limit of 10 when three processes get 200 at once, in each window', async ({
    onTestFinished: atEnd,
  }) => {
    const instances = await three(atEnd, shortWindows);
    const id = fresh();
    for (let window = 0; window < 2; window++) {
      await beginning();
      expect(await burst(instances, 200, { requestsPerMinute: 10 }, id)).toBe(10);
      expect(await burst(instances, 50, { requestsPerMinute: 10 }, id)).toBe(0);
    }
  });

  it('come to their limit whichever process they come through, and are not refused below it', async ({
    onTestFinished: atEnd,
  }) => {
    const instances = await three(atEnd);
    const own = [limited(fresh(), { requestsPerMinute: 30 })];
    const answers = [];
    for (let count = 0; count < 40; count++) answers.push(await at(instances, count).ask(own));
    expect(answers.map(isAdmitted)).toEqual(many(40).map((index) => index < 30));
  });

  it('cost a busy process few calls', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd, { settings: { rateWindowMs: hourMs } });
    if (instance === undefined) return;
    const own = [limited(fresh(), { requestsPerMinute: 1_000_000 })];
    const load = async (): Promise<void> => {
      for (let count = 0; count < 100; count++) {
        for (let each = 0; each < 10; each++) expect(isAdmitted(await instance.ask(own))).toBe(true);
        await sleep(10);
      }
    };
    await load();
    const before = instance.admission.calls.limits;
    await load();
    expect(instance.admission.calls.limits - before).toBeLessThan(100);
  });

  it('that were refused do not count', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const id = fresh();
    const both = [limited(id, { requestsPerMinute: 5, parallelRequests: 0 })];
    for (let count = 0; count < 20; count++) expect(isAdmitted(await at([instance], 0).ask(both))).toBe(false);
    expect(await burst([at([instance], 0)], 20, { requestsPerMinute: 5 }, id)).toBe(5);
  });

  it('of an administrator are not limited', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const own = [limited(fresh(), { requestsPerMinute: 1 })];
    for (let count = 0; count < 5; count++) {
      expect(isAdmitted(await at([instance], 0).ask(own, {}, { admin: true }))).toBe(true);
    }
  });

  it('of one model are limited beside those of all', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const own = [
      scope('key', fresh(), {
        limits: { requestsPerMinute: 4 },
        models: { gpt: { limits: { requestsPerMinute: 1 } } },
      }),
    ];
    const ask = async (group: string) => isAdmitted(await at([instance], 0).ask(own, {}, { group }));
    expect([
      await ask('gpt'),
      await ask('gpt'),
      await ask('a'),
      await ask('b'),
      await ask('c'),
      await ask('d'),
    ]).toEqual([true, false, true, true, true, false]);
  });
});

describe.concurrent('a refusal', () => {
  it("names the scope, the kind, the limit and the reset, in LiteLLM's words and headers", async ({
    onTestFinished: atEnd,
  }) => {
    const [instance] = await three(atEnd);
    const own = [scope('key', fresh(), { name: 'sk-...wxyz', limits: { requestsPerMinute: 1 } })];
    await at([instance], 0).ask(own);
    const refusal = await at([instance], 0).ask(own);
    expect(refusal).toMatchObject({
      status: 429,
      retryAfterSeconds: expect.closeTo(hourMs / 2_000, -4),
      headers: { rate_limit_type: 'requests', reset_at: expect.stringMatching(/^\d{4}-.*Z$/) },
      message: expect.stringMatching(
        /^Rate limit exceeded for api_key: sk-\.\.\.wxyz\. Limit type: requests\. Current limit: 1, Remaining: 0\. Limit resets at: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
      ),
    });
  });

  it('of a later level sets nothing aside on an earlier one', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const team = scope('team', fresh(), { limits: { requestsPerMinute: 3 } });
    const own = limited(fresh(), { requestsPerMinute: 1 });
    const answers = [];
    for (let count = 0; count < 10; count++) answers.push(await at([instance], 0).ask([team, own]));
    expect(answers.filter(isAdmitted)).toHaveLength(1);
    expect(await burstOf(at([instance], 0), [team], 10)).toBe(2);
  });
});

describe.concurrent('headers', () => {
  it("tell the key's limits and what is left of them", async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const own = [
      scope('team', fresh(), { limits: { requestsPerMinute: 3 } }),
      limited(fresh(), { requestsPerMinute: 10, tokensPerMinute: 1_000 }),
    ];
    const answer = await at([instance], 0).ask(own, { tokens: 100 });
    const headers = isAdmitted(answer) ? (answer.headers() ?? []) : [];
    const byName = Object.fromEntries(
      headers.flatMap((name, place) => (place % 2 === 0 ? [[name, headers[place + 1]]] : [])),
    );
    expect(byName).toMatchObject({
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '2',
      'x-ratelimit-reset-requests': expect.stringMatching(/^\d+s$/),
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '900',
      'x-ratelimit-api_key-limit-requests': '10',
      'x-ratelimit-api_key-remaining-requests': '9',
      'x-litellm-key-rpm-limit': '10',
      'x-litellm-key-tpm-limit': '1000',
    });
  });

  it('are not made for callers without limits', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd);
    const answer = await at([instance], 0).ask([scope('key', fresh())]);
    expect(isAdmitted(answer) && answer.headers()).toBeUndefined();
  });
});

describe.concurrent('tokens in a window', () => {
  it('never exceed the limit by more than the requests exceed their estimates', async ({ onTestFinished: atEnd }) => {
    const instances = await three(atEnd);
    const own = [limited(fresh(), { tokensPerMinute: 1_000 })];
    let used = 0;
    await Promise.all(
      many(120).map(async (index) => {
        const answer = await at(instances, index).ask(own, { tokens: 100 });
        if (!isAdmitted(answer)) return;
        // The answer takes less than expected; the rest is for others.
        used += 60;
        answer.settle(null, 60);
      }),
    );
    expect(used).toBeLessThanOrEqual(1_000);
    expect(used).toBeGreaterThanOrEqual(600);
  });

  it('that were used beyond the estimate are missing to everybody', async ({ onTestFinished: atEnd }) => {
    const [one, two] = await three(atEnd);
    const own = [limited(fresh(), { tokensPerMinute: 1_000 })];
    settled(await at([one], 0).ask(own, { tokens: 100 }), 900);
    // The overdraft is told with the next call.
    expect(await at([one], 0).ask(own, { tokens: 200 })).toBeInstanceOf(Refusal);
    expect(await at([two], 0).ask(own, { tokens: 200 })).toBeInstanceOf(Refusal);
    expect(isAdmitted(await at([two], 0).ask(own, { tokens: 100 }))).toBe(true);
  });

  it('of a window that is over change nothing in the next', async ({ onTestFinished: atEnd }) => {
    const [instance] = await three(atEnd, shortWindows);
    const own = [limited(fresh(), { tokensPerMinute: 1_000 })];
    await beginning();
    const early = await at([instance], 0).ask(own, { tokens: 1_000 });
    await beginning();
    const late = await at([instance], 0).ask(own, { tokens: 600 });
    settled(early, 5_000);
    expect(isAdmitted(late)).toBe(true);
    expect(isAdmitted(await at([instance], 0).ask(own, { tokens: 400 }))).toBe(true);
    expect(isAdmitted(await at([instance], 0).ask(own, { tokens: 1 }))).toBe(false);
  });
});

describe('parallel requests', () => {
  it('never exceed the limit, and end with their slots free', async ({ onTestFinished: atEnd }) => {
    const instances = await three(atEnd);
    const own = [limited(fresh(), { parallelRequests: 7 })];
    let running = 0;
    let most = 0;
    let served = 0;
    const endsAtMs = performance.now() + 1_500;
    await Promise.all(
      many(30).map(async (index) => {
        while (performance.now() < endsAtMs) {
          const answer = await at(instances, index).ask(own);
          if (!isAdmitted(answer)) {
            await sleep(2);
            continue;
          }
          most = Math.max(most, ++running);
          await sleep(5);
          running--;
          served++;
          answer.settle(null, null);
        }
      }),
    );
    expect(most).toBeLessThanOrEqual(7);
    expect(served).toBeGreaterThan(100);
    await Promise.all(instances.map(({ admission }) => admission.close()));
    expect(await burst(await three(atEnd), 30, { parallelRequests: 7 }, own[0]?.name)).toBe(7);
  });

  it('one after the other are never refused, through whichever process they go', async ({ onTestFinished: atEnd }) => {
    const instances = await three(atEnd);
    const own = [limited(fresh(), { parallelRequests: 1 })];
    for (let count = 0; count < 60; count++) {
      const answer = await at(instances, count).ask(own);
      expect(isAdmitted(answer), `request ${count}`).toBe(true);
      settled(answer, 0);
      // As long as the answer takes to its client.
      await sleep(2);
    }
  });

  it.concurrent('of a killed process free their slots when it was not heard for the expiry, and not before', async ({
    onTestFinished: atEnd,
  }) => {
    const [one, two] = await three(atEnd, { settings: { slotExpiryMs: 1_500 } });
    const own = [limited(fresh(), { parallelRequests: 3 })];
    for (let count = 0; count < 3; count++) expect(isAdmitted(await at([one], 0).ask(own))).toBe(true);
    one?.kill();
    const killedAt = performance.now();
    expect(await at([two], 0).ask(own)).toMatchObject({
      status: 429,
      headers: { rate_limit_type: 'max_parallel_requests' },
    });
    await until(async () => isAdmitted(await at([two], 0).ask(own)));
    expect(performance.now() - killedAt).toBeGreaterThan(900);
    expect(performance.now() - killedAt).toBeLessThan(3_000);
  });

  it.concurrent('of a living process keep their slots for longer than the expiry', async ({
    onTestFinished: atEnd,
  }) => {
    const [one, two] = await three(atEnd, { settings: { slotExpiryMs: 1_000 } });
    const own = [limited(fresh(), { parallelRequests: 2 })];
    for (let count = 0; count < 2; count++) await at([one], 0).ask(own);
    for (let count = 0; count < 20; count++) {
      expect(isAdmitted(await at([two], 0).ask(own))).toBe(false);
      await sleep(100);
    }
  });
});

describe.concurrent('without Redis', () => {
  it('three processes together let exactly the limit through, each its share', async ({ onTestFinished: atEnd }) => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    for (const redisUrl of [undefined, url]) {
      const instances = await three(atEnd, { redisUrl });
      const own = [limited(fresh(), { requestsPerMinute: 10 })];
      const shares = await Promise.all(instances.map((instance) => burstOf(instance, own, 50)));
      expect(sorted(shares)).toEqual([3, 3, 4]);
      const parallel = [limited(fresh(), { parallelRequests: 10 })];
      const slots = await Promise.all(instances.map((instance) => burstOf(instance, parallel, 50)));
      expect(sorted(slots)).toEqual([3, 3, 4]);
    }
  });

  it('a process that is alone has the whole limit', async ({ onTestFinished: atEnd }) => {
    const instance = await startInstance({}, atEnd);
    expect(await burst([instance], 50, { requestsPerMinute: 10 })).toBe(10);
  });

  it('a process that knows nobody yet reckons with the configured number', async ({ onTestFinished: atEnd }) => {
    const siblings = { logId: '', live: undefined, rank: undefined };
    const instance = await startInstance({ siblings, settings: { expectedReplicas: 3 } }, atEnd);
    expect(await burst([instance], 50, { requestsPerMinute: 10 })).toBe(3);
  });

  it('a limit below the number of processes leaves some with nothing, unless at least one is configured', async ({
    onTestFinished: atEnd,
  }) => {
    const shares = async (shareMinimumOne: boolean) => {
      const instances = await three(atEnd, { redisUrl: undefined, settings: { shareMinimumOne } });
      const own = [limited(fresh(), { requestsPerMinute: 1 })];
      return sorted(await Promise.all(instances.map((instance) => burstOf(instance, own, 9))));
    };
    expect(await shares(false)).toEqual([0, 0, 1]);
    expect(await shares(true)).toEqual([1, 1, 1]);
  });

  it('each window has its shares anew', async ({ onTestFinished: atEnd }) => {
    const instances = await three(atEnd, { redisUrl: undefined, ...shortWindows });
    const id = fresh();
    for (let window = 0; window < 2; window++) {
      await beginning();
      expect(await burst(instances, 60, { requestsPerMinute: 10 }, id)).toBe(10);
    }
  });
});

describe('a Redis that fails', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ port: await freePort() });
  });
  afterAll(async () => {
    server.kill('SIGCONT');
    await server.stop();
  });

  it('and is frozen: the shares hold, within a second, and the limit is not exceeded; then it is used again', async () => {
    const instances = await three(onTestFinished, { redisUrl: server.url, ...shortWindows });
    server.kill('SIGSTOP');
    onTestFinished(() => server.kill('SIGCONT'));
    await beginning();
    const startedAt = performance.now();
    const admitted = await burst(instances, 200, { requestsPerMinute: 10 });
    expect(admitted).toBe(10);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    server.kill('SIGCONT');
    await until(() => instances.every(({ limits }) => limits?.up === true));
    await beginning();
    const own = [limited(fresh(), { requestsPerMinute: 10 })];
    // More than any share, through one process.
    expect(await burstOf(at(instances, 0), own, 50)).toBe(10);
  });

  it('and is flushed under load lets no more than twice the limit through in that window', async () => {
    const instances = await three(onTestFinished, { redisUrl: server.url, settings: { rateWindowMs: 3_000 } });
    const own = [limited(fresh(), { requestsPerMinute: 300 })];
    const admin = new Redis(server.url);
    onTestFinished(() => admin.disconnect());
    await sleep(3_000 - (Date.now() % 3_000) + 20);
    const endsAt = Date.now() + 2_500;
    let admitted = 0;
    let flushes = 0;
    const flusher = setInterval(() => {
      flushes++;
      void admin.flushall();
    }, 400);
    await Promise.all(
      many(30).map(async (index) => {
        while (Date.now() < endsAt) {
          if (isAdmitted(await at(instances, index).ask(own))) admitted++;
          await sleep(1);
        }
      }),
    );
    clearInterval(flusher);
    expect(flushes).toBeGreaterThan(3);
    expect(admitted).toBeGreaterThanOrEqual(300);
    expect(admitted).toBeLessThanOrEqual(600);
  });

  it('and ends in the middle of a window lets no more than twice the limit through in it, and the limit in the next', async () => {
    const instances = await three(onTestFinished, { redisUrl: server.url, ...shortWindows });
    const own = [limited(fresh(), { requestsPerMinute: 10 })];
    await beginning();
    expect(await burstOf(at(instances, 0), own, 50)).toBe(10);
    server.kill('SIGKILL');
    await server.exited;
    onTestFinished(async () => {
      server = await startRedis({ port: server.port });
    });
    const rest = await Promise.all(instances.map((instance) => burstOf(instance, own, 20)));
    // Whoever used the limit up has no share besides.
    expect(rest[0]).toBe(0);
    expect((rest[1] ?? 0) + (rest[2] ?? 0)).toBeLessThanOrEqual(10);
    await beginning();
    const next = await Promise.all(instances.map((instance) => burstOf(instance, own, 20)));
    expect(next.reduce((sum, count) => sum + count, 0)).toBe(10);
  });
});

async function burstOf(instance: Instance, scopes: Parameters<Instance['ask']>[0], count: number): Promise<number> {
  return (await Promise.all(many(count).map(() => instance.ask(scopes)))).filter(isAdmitted).length;
}

function at(instances: readonly (Instance | undefined)[], index: number): Instance {
  const instance = instances[index % instances.length];
  if (instance === undefined) throw new Error('no instance');
  return instance;
}

const sorted = (counts: readonly number[]): number[] => counts.toSorted((a, b) => a - b);

function settled(answer: Reservation | Refusal, tokens: number): void {
  if (answer instanceof Refusal) throw answer;
  answer.settle(null, tokens);
}
