import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { freshRedis, type TestRedis } from '../support/redis.ts';

let database: TestDatabase;
let redis: TestRedis;
let redisClient: Redis;
let upstream: Upstream;
let one: TestGateway;
let two: TestGateway;
let serial = 0;
/** A question that nobody has asked yet. */
let question: object;

beforeAll(async () => {
  [database, redis] = await Promise.all([migratedDatabase(), freshRedis()]);
  redisClient = new Redis(redis.url);
  upstream = await startUpstream({ name: 'an upstream', chunkEveryMs: 5 });
  const config = configFor(
    [upstream.url],
    `
litellm_settings: {cache: true, cache_params: {type: redis, ttl: 600, namespace: e2e}}
`,
  ).replace(
    'api_key: sk-upstream-0',
    'api_key: sk-upstream-0, input_cost_per_token: 0.001, output_cost_per_token: 0.001',
  );
  const start = () => startTestGateway({ config, databaseUrl: database.url, environment: { REDIS_URL: redis.url } });
  [one, two] = await Promise.all([start(), start()]);
  for (const gateway of [one, two]) {
    await until(async () => (await (await gateway.request('/health/ready')).text()).includes('"status":"connected"'));
  }
});

afterAll(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await upstream.close();
  redisClient.disconnect();
  await redis.flush();
  await database.drop();
});

beforeEach(() => {
  question = { ...hello, messages: [{ role: 'user', content: `Question ${serial++}` }] };
});

const ask = (gateway: TestGateway, body: object = question, headers: Record<string, string> = {}) =>
  gateway.post('/v1/chat/completions', body, headers);
const hit = (response: Response): string | null => response.headers.get('x-litellm-cache-hit');
/** An answer reaches Redis after its client: another process finds it there from now on. */
const isShared = (response: Response): Promise<void> =>
  until(async () => {
    const key = `holdfast:cache:e2e:{${response.headers.get('x-litellm-cache-key')}}`;
    return (await redisClient.exists(key)) === 1;
  });
const metric = async (name: string): Promise<number> => {
  const text = await (await one.request('/metrics')).text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
};
async function newKey(): Promise<string> {
  const response = await one.post('/key/generate', {});
  return z.object({ key: z.string() }).parse(await response.json()).key;
}

describe('a cached answer', () => {
  it('is the same bytes, from either process, costs nothing, and is counted', async () => {
    const [hits, misses] = [
      await metric('litellm_cache_hits_metric_total'),
      await metric('litellm_cache_misses_metric_total'),
    ];
    const first = await ask(one);
    const text = await first.text();
    expect([hit(first), first.headers.get('x-litellm-response-cost')]).not.toEqual(['true', '0']);
    const calls = upstream.requests.length;
    const second = await ask(one, question, { 'x-litellm-call-id': 'the hit' });
    expect(await second.text()).toBe(text);
    expect([hit(second), second.headers.get('x-litellm-response-cost')]).toEqual(['true', '0']);
    expect(second.headers.get('x-litellm-cache-key')).toBe(first.headers.get('x-litellm-cache-key'));
    await isShared(first);
    const third = await ask(two);
    expect([await third.text(), hit(third)]).toEqual([text, 'true']);
    expect(upstream.requests.length).toBe(calls);
    expect([
      await metric('litellm_cache_hits_metric_total'),
      await metric('litellm_cache_misses_metric_total'),
    ]).toEqual([hits + 1, misses + 1]);
    const rows = () =>
      query(
        database.url,
        "SELECT cost_micros::int AS cost, cache_hit, attempts, prompt_tokens > 0 AS counted FROM spend_entry WHERE call_id = 'the hit'",
      );
    await until(async () => (await rows()).length === 1);
    expect(await rows()).toEqual([{ cost: 0, cache_hit: true, attempts: 0, counted: true }]);
  });

  it('that was streamed is streamed again, and is none for a client that does not stream', async () => {
    const body = { ...question, stream: true };
    const first = await ask(one, body);
    const text = await first.text();
    expect(text).toContain('[DONE]');
    await isShared(first);
    const again = await ask(two, body);
    expect(again.headers.get('content-type')).toContain('text/event-stream');
    expect([await again.text(), hit(again)]).toEqual([text, 'true']);
    expect(hit(await ask(one))).toBe('false');
  });

  it('is there for the Anthropic API in its own words', async () => {
    const body = { ...question, max_tokens: 50 };
    const messages = async () => {
      const response = await one.post('/v1/messages', body);
      return [await response.json(), hit(response)];
    };
    const [first] = await messages();
    expect(await messages()).toEqual([first, 'true']);
  });

  it('is never another key’s', async () => {
    const [a, b] = [await newKey(), await newKey()];
    const as = (key: string) => ask(one, question, { authorization: `Bearer ${key}` });
    const [first, other] = [await as(a), await as(b)];
    expect([hit(first), hit(other), hit(await as(a)), hit(await as(b))]).toEqual(['false', 'false', 'true', 'true']);
    expect(first.headers.get('x-litellm-cache-key')).not.toBe(other.headers.get('x-litellm-cache-key'));
  });

  it('is asked for once by many at once, and each gets it', async () => {
    const before = upstream.requests.length;
    const body = { ...question, stream: true };
    const answers = await Promise.all(Array.from({ length: 20 }, async () => (await ask(one, body)).text()));
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain('[DONE]');
    expect(upstream.requests.length - before).toBe(1);
  });

  it('does not reach the provider’s request, and follows no-cache, no-store and Cache-Control', async () => {
    await ask(one, { ...question, cache: { 'no-store': true } });
    expect(upstream.requests.at(-1)?.body).not.toHaveProperty('cache');
    expect(hit(await ask(one))).toBe('false');
    expect(hit(await ask(one, { ...question, cache: { 'no-cache': true } }))).toBe('false');
    expect(hit(await ask(one, question, { 'cache-control': 'no-cache' }))).toBe('false');
    expect(hit(await ask(one))).toBe('true');
    const wrong = await ask(one, { ...question, cache: { ttl: 'soon' } });
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { error: { param: 'cache.ttl' } }]);
  });
});

describe('/cache', () => {
  it('answers administrators only, forgets one answer by its key, or all of them', async () => {
    const headers = { authorization: `Bearer ${await newKey()}` };
    for (const path of ['/cache/delete', '/cache/flushall'])
      expect((await one.post(path, {}, headers)).status).toBe(403);
    const ping = await one.request('/cache/ping', { headers });
    expect(await ping.json()).toMatchObject({ status: 'healthy', cache_type: 'redis' });

    const key = (await ask(one)).headers.get('x-litellm-cache-key');
    expect(hit(await ask(one))).toBe('true');
    expect(await (await one.post('/cache/delete', { keys: [key] })).json()).toEqual({ status: 'success' });
    expect(hit(await ask(one))).toBe('false');
    const flushed = await (await one.post('/cache/flushall', {})).json();
    expect(flushed).toMatchObject({ status: 'success' });
    expect(hit(await ask(one))).toBe('false');
  });

  it('what is forgotten in one process is forgotten in the others within two seconds', async () => {
    const took: number[] = [];
    for (const path of ['/cache/delete', '/cache/flushall']) {
      const first = await ask(one);
      await isShared(first);
      const key = first.headers.get('x-litellm-cache-key');
      // From here on the other one has a copy in memory.
      expect(hit(await ask(two))).toBe('true');
      await one.post(path, path === '/cache/delete' ? { keys: [key] } : {});
      const removedAtMs = performance.now();
      // It must not be stored again, or the next look would find that.
      const looks = async () => hit(await ask(two, { ...question, cache: { 'no-store': true } }));
      await until(async () => (await looks()) !== 'true', 10_000);
      took.push(performance.now() - removedAtMs);
    }
    // A look that Redis did not answer in time on a busy machine is repeated a second later.
    expect(Math.min(...took)).toBeLessThan(2_500);
  });
});
