import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { query } from '../support/query.ts';

let upstream: Upstream;
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis({ port: await freePort() });
  upstream = await startUpstream({
    name: 'the upstream',
    // Uses all that the request allows, so that costs are what was set aside.
    intercept: ({ body }, response) => {
      const completionTokens = Number(body['max_tokens']);
      sendJson(response, 200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: body['model'],
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 5, completion_tokens: completionTokens, total_tokens: 5 + completionTokens },
      });
      return true;
    },
  });
});
afterAll(async () => {
  await upstream.close();
  redis.kill('SIGCONT');
  await redis.stop();
});

/** 0.001 dollars for each request of 100 tokens, and 0.01 for all of them: enough for ten. */
const config = () => `
model_list:
  - model_name: chat
    litellm_params:
      model: openai/upstream-model
      api_base: "${upstream.url}"
      api_key: sk-upstream
      input_cost_per_token: 0
      output_cost_per_token: 0.00001
litellm_settings: {max_budget: 0.01, budget_duration: 30d}
general_settings:
  pass_through_endpoints:
    - {path: /raw, target: "${upstream.url}/chat/completions", auth: true, cost_per_request: 0.004}
`;
const request = { ...hello, max_tokens: 100 };

const refusal = z.object({
  error: z.object({ message: z.string(), type: z.literal('budget_exceeded'), code: z.literal('429') }),
});

describe('200 requests at once over three gateways against a budget for 10', () => {
  it.each([
    ['up', async () => undefined],
    ['frozen', async () => redis.kill('SIGSTOP')],
    [
      'gone',
      async () => {
        redis.kill('SIGKILL');
        await redis.exited;
      },
    ],
  ])('reach the upstream exactly 10 times while Redis is %s; the others are told why', async (_state, happens) => {
    const database = await migratedDatabase();
    const start = () =>
      startTestGateway({ config: config(), databaseUrl: database.url, environment: { REDIS_URL: redis.url } });
    const gateways = await Promise.all([start(), start(), start()]);
    await happens();
    const before = upstream.requests.length;
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(gateways, index)));
    const byStatus = Object.groupBy(answers, ({ status }) => status);
    expect({ passed: byStatus[200]?.length, refused: byStatus[429]?.length }).toEqual({ passed: 10, refused: 190 });
    expect(upstream.requests.length - before).toBe(10);
    for (const { body } of byStatus[429] ?? []) {
      expect(refusal.parse(body).error.message).toMatch(
        /^Budget has been exceeded! Current cost: .*, Max budget: 0.01\./,
      );
    }
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    // What was spent is spent, and nothing beyond it is held by processes that have left.
    const [account] = await query(
      database.url,
      `SELECT (spent_micros + leased_micros)::int AS taken, max_micros::int AS max,
              window_end = date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' AS aligned
         FROM account WHERE id = 'z:global'`,
    );
    expect(account).toEqual({ taken: 10_000, max: 10_000, aligned: true });
    await database.drop();
  });
});

it('what is passed through counts and is bound, too', async () => {
  const database = await migratedDatabase();
  const gateway = await startTestGateway({ config: config(), databaseUrl: database.url });
  const statuses = [];
  for (let count = 0; count < 4; count++) statuses.push((await gateway.post('/raw', request)).status);
  expect(statuses).toEqual([200, 200, 429, 429]);
  // 0.002 are left, for two requests of the other kind.
  for (let count = 0; count < 3; count++) statuses.push((await ask([gateway], 0)).status);
  expect(statuses.slice(4)).toEqual([200, 200, 429]);
  await gateway.stop();
  await database.drop();
});

async function ask(gateways: readonly TestGateway[], index: number): Promise<{ status: number; body: unknown }> {
  const gateway = gateways[index % gateways.length];
  if (gateway === undefined) throw new Error('no gateway');
  const response = await gateway.post('/v1/chat/completions', request);
  return { status: response.status, body: await response.json() };
}
