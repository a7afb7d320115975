/** What stands outside the requests follows the configuration, too: Redis, the pool, the size of the outbox. Nothing is restarted. */
import { writeFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../runbooks/lab/fault-proxy.ts';
import { hello, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { freshRedis } from '../support/redis.ts';

let database: TestDatabase;
let upstream: Recorder;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startRecorder(
    json(200, {
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
  );
  gateway = await startTestGateway({
    config: withGeneral({}),
    databaseUrl: database.url,
    // Nobody but a reload looks at the file.
    environment: { CONFIG_SYNC_INTERVAL: '3600' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const withGeneral = (general: object): string => `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.origin}/v1", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
general_settings: ${JSON.stringify(general)}`;

/** Writes the file and asks for it, as an operator does. */
async function reload(general: object): Promise<void> {
  await writeFile(gateway.configPath, withGeneral(general));
  const answer = await gateway.post('/config/reload', {});
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ fault: null })]);
}

async function chat(): Promise<number> {
  const response = await gateway.post('/v1/chat/completions', hello);
  await response.arrayBuffer();
  return response.status;
}

it('POST /config/reload takes over a changed file at once, for administrators alone, and says what is wrong with a faulty one', async () => {
  await writeFile(gateway.configPath, withGeneral({}).replace('model_name: chat', 'model_name: renamed'));
  const stranger = await gateway.post('/config/reload', {}, { authorization: 'Bearer sk-nobody' });
  expect([stranger.status, await chat()]).toEqual([401, 200]);
  const path = '/llmrouter/reload';
  expect((await gateway.post(path, { force_sync: true })).status).toBe(200);
  // No such model.
  expect(await chat()).toBe(400);
  await writeFile(gateway.configPath, 'model_list: [{model_name: chat, litellm_params: {}}]');
  expect(await (await gateway.post('/config/reload', {})).json()).toMatchObject({
    fault: expect.stringContaining('litellm_params.model'),
  });
  const faulty = await gateway.post('/config/reload', { force: 'yes' });
  expect([faulty.status, await faulty.text()]).toEqual([400, expect.stringContaining('force')]);
  await reload({});
  expect(await chat()).toBe(200);
});

it('Redis is connected to, left for another, and left for good, while requests are served', async () => {
  const port = Number(new URL((await freshRedis()).url).port);
  const [one, two] = await Promise.all([startFaultProxy({ port }), startFaultProxy({ port })]);
  const isUsed = (proxy: FaultProxy): boolean => proxy.counts().open > 0;
  const general = (proxy: FaultProxy) => ({ redis_host: '127.0.0.1', redis_port: proxy.port });
  try {
    for (const [next, used] of [
      [general(one), [true, false]],
      [general(two), [false, true]],
      [{}, [false, false]],
    ] as const) {
      await reload(next);
      await until(async () => isUsed(one) === used[0] && isUsed(two) === used[1]);
      expect(await chat()).toBe(200);
    }
  } finally {
    await Promise.all([one.close(), two.close()]);
  }
});

it('the pool grows and shrinks: so many questions wait in the database as it says', async () => {
  const holder = new Client({ connectionString: database.url });
  await holder.connect();
  const waiting = async (): Promise<number> =>
    Number(
      (
        await query(
          database.url,
          `SELECT count(*)::int AS n FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'holdfast' AND wait_event_type = 'Lock'`,
        )
      )[0]?.['n'],
    );
  try {
    for (const size of [2, 6, 3]) {
      await reload({ database_connection_pool_limit: size });
      await holder.query('BEGIN; LOCK TABLE gateway_user IN ACCESS EXCLUSIVE MODE');
      const asked = Array.from({ length: 10 }, () =>
        gateway.request('/user/list', { headers: { authorization: `Bearer ${masterKey}` } }),
      );
      await until(async () => (await waiting()) >= size);
      expect(await waiting()).toBe(size);
      await holder.query('ROLLBACK');
      await Promise.all(asked.map(async (answer) => (await answer).arrayBuffer()));
    }
  } finally {
    await holder.end();
  }
});

it('an outbox that may hold less refuses what costs money when it is full, and takes it again when it may hold more', async () => {
  await reload({ outbox_max_bytes: 1 });
  expect(await chat()).toBe(503);
  await reload({ outbox_max_bytes: 100_000_000, outbox_retain_seconds: 0 });
  expect(await chat()).toBe(200);
});
