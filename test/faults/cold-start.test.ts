/** A start while PostgreSQL, Redis and S3 are all away: refusing, or silent, which costs more. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { startFaultProxy } from '../../runbooks/lab/fault-proxy.ts';
import { startObjectStore, storeObject } from '../../runbooks/lab/object-store.ts';
import { hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { freshRedis } from '../support/redis.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { makeKey, tell } from './site.ts';

/** What a start may wait for its stores. The rest of the two seconds is for the process itself. */
const storesMs = 1_200;
/** For the work in between, on cores that others use as well. One after the other, the time-outs would be 10 s. */
const slackMs = 1_800;
const startedLine = z.object({
  msg: z.literal('the gateway accepts requests'),
  tookMs: z.object({ configuration: z.number(), stores: z.number(), all: z.number() }),
});

let upstream: Recorder;

beforeAll(async () => {
  upstream = await startRecorder(
    json(200, {
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
  );
});
afterAll(() => upstream.close());

const serving = (name: string, redisPort: number): string => `
model_list:
  - model_name: ${name}
    litellm_params: {model: openai/m, api_base: "${upstream.origin}/v1", api_key: sk-u}
general_settings: {redis_host: 127.0.0.1, redis_port: ${redisPort}}`;

async function ask(gateway: TestGateway, model: string, key: string): Promise<number> {
  const response = await gateway.post('/v1/chat/completions', { ...hello, model }, { authorization: `Bearer ${key}` });
  await response.arrayBuffer();
  return response.status;
}

/** As the gateway logs them. */
async function phasesOf(gateway: TestGateway): Promise<z.output<typeof startedLine>['tookMs']> {
  const line = async (): Promise<string | undefined> =>
    (await gateway.output()).split('\n').find((one) => one.includes('the gateway accepts requests'));
  // Its log is written in pieces.
  await until(async () => (await line()) !== undefined);
  return startedLine.parse(JSON.parse((await line()) ?? '')).tookMs;
}

describe('a start while PostgreSQL, Redis and S3 are all away', () => {
  for (const accept of ['silent', 'refuse'] as const) {
    it(`(${accept}) waits for them together, serves known keys, and uses each when it is back`, async () => {
      const database = await migratedDatabase();
      onTestFinished(() => database.drop());
      const store = await startObjectStore();
      onTestFinished(() => store.close());
      const url = new URL(database.url);
      const postgres = await startFaultProxy({ port: Number(url.port), host: url.hostname });
      const redis = await startFaultProxy({ port: Number(new URL((await freshRedis()).url).port) });
      const s3 = await startFaultProxy({ port: Number(new URL(store.url).port) });
      const stores = [postgres, redis, s3];
      onTestFinished(() => Promise.all(stores.map((proxy) => proxy.close())).then(() => undefined));
      url.host = postgres.address;
      const put = (name: string): void =>
        void storeObject(store.objects, 'configs/live.yaml', Buffer.from(serving(name, redis.port)));
      put('chat');
      const options = {
        config: 'model_list: [',
        databaseUrl: url.href,
        dataDirectory: join(await temporaryDirectory(), 'data'),
        environment: {
          CONFIG_S3_BUCKET: 'configs',
          CONFIG_S3_KEY: 'live.yaml',
          CONFIG_S3_ENDPOINT_URL: `http://${s3.address}`,
          AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
          AWS_SECRET_ACCESS_KEY: 'not-a-secret',
          LLMROUTER_HA_LEASE_SECONDS: '2',
          LLMROUTER_HA_RENEW_INTERVAL_SECONDS: '0.5',
        },
      };
      const warmAt = performance.now();
      const first = await startTestGateway(options);
      const warmStartMs = Math.round(performance.now() - warmAt);
      const key = await makeKey(first);
      const withBudget = await makeKey(first, { max_budget: 1 });
      expect(await ask(first, 'chat', key)).toBe(200);
      await first.stop();
      for (const proxy of stores) {
        await proxy.set({ accept });
        proxy.cut();
      }

      const startedAt = performance.now();
      const gateway = await startTestGateway(options);
      onTestFinished(() => gateway.stop().then(() => undefined));
      expect(await ask(gateway, 'chat', key)).toBe(200);
      const firstAnswerMs = Math.round(performance.now() - startedAt);
      const phases = await phasesOf(gateway);
      tell(`cold start (${accept})`, { warmStartMs, firstAnswerMs, ...phases });
      expect(phases.all).toBeLessThan(storesMs + slackMs);
      // What a start costs here and now, as it was a moment ago, and half of it again.
      expect(firstAnswerMs).toBeLessThan(warmStartMs * 1.5 + storesMs + slackMs);
      expect(await ask(gateway, 'chat', 'sk-nobody-knows-this-key')).toBe(503);
      expect((await gateway.request('/health/ready')).status).toBe(200);

      for (const proxy of stores) await proxy.heal();
      const backAt = performance.now();
      put('renamed');
      await until(async () => (await ask(gateway, 'renamed', withBudget)) === 200, 10_000);
      tell(`cold start (${accept})`, { backMs: Math.round(performance.now() - backAt) });
    }, 60_000);
  }
});
