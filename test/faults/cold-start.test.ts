/** A start while PostgreSQL, Redis and S3 are all away: refusing, or silent, which costs more. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { startObjectStore } from '../../runbooks/lab/object-store.ts';
import { migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { isQuiet } from '../support/quiet-machine.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { freshRedis } from '../support/redis.ts';
import { behindProxies, completionStatus } from '../support/stores-away.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { makeKey, tell } from './site.ts';

/** What a start may wait for its stores. The rest of the two seconds is for the process itself. */
const storesMs = 900;
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
      const real = { databaseUrl: database.url, redisUrl: (await freshRedis()).url, store };
      const stores = await behindProxies(real, upstream.origin, join(await temporaryDirectory(), 'data'));
      onTestFinished(() => stores.close());
      stores.put('chat');
      const warmAt = performance.now();
      const first = await startTestGateway(stores.options);
      const warmStartMs = Math.round(performance.now() - warmAt);
      const key = await makeKey(first);
      const withBudget = await makeKey(first, { max_budget: 1 });
      expect(await completionStatus(first, 'chat', key)).toBe(200);
      await first.stop();
      await stores.away(accept);

      const startedAt = performance.now();
      const gateway = await startTestGateway(stores.options);
      onTestFinished(() => gateway.stop().then(() => undefined));
      expect(await completionStatus(gateway, 'chat', key)).toBe(200);
      const firstAnswerMs = Math.round(performance.now() - startedAt);
      const phases = await phasesOf(gateway);
      tell(`cold start (${accept})`, { warmStartMs, firstAnswerMs, ...phases });
      expect(phases.all).toBeLessThan(storesMs + slackMs);
      // What a start costs here and now, as it was a moment ago, and half of it again.
      expect(firstAnswerMs).toBeLessThan(isQuiet ? 2_000 : warmStartMs * 1.5 + storesMs + slackMs);
      expect(await completionStatus(gateway, 'chat', 'sk-nobody-knows-this-key')).toBe(503);
      expect((await gateway.request('/health/ready')).status).toBe(200);

      await stores.heal();
      const backAt = performance.now();
      stores.put('renamed');
      await until(async () => (await completionStatus(gateway, 'renamed', withBudget)) === 200, 10_000);
      tell(`cold start (${accept})`, { backMs: Math.round(performance.now() - backAt) });
    }, 60_000);
  }
});
