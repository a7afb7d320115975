import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import {
  configFor,
  hello,
  masterKey,
  migratedDatabase,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { freshRedis, type TestRedis } from '../support/redis.ts';

let database: TestDatabase;
let redis: TestRedis;
let limited: Upstream;
let healthy: Upstream;

beforeAll(async () => {
  database = await migratedDatabase();
  redis = await freshRedis();
  limited = await startUpstream({
    name: 'limited',
    intercept: (_request, response) => {
      sendJson(response, 429, {
        error: { message: 'Slow down', type: 'requests', param: null, code: 'rate_limit_exceeded' },
      });
      return true;
    },
  });
  healthy = await startUpstream({ name: 'healthy' });
});

afterAll(async () => {
  await limited.close();
  await healthy.close();
  await redis.flush();
  await database.drop();
});

const start = () =>
  startTestGateway({
    config: configFor([limited.url, healthy.url], 'router_settings: {cooldown_time: 30}'),
    databaseUrl: database.url,
    environment: { REDIS_URL: redis.url },
  });

const cooling = async (gateway: TestGateway): Promise<string[]> => {
  const response = await gateway.request('/health', { headers: { authorization: `Bearer ${masterKey}` } });
  const { unhealthy_endpoints: endpoints } = z
    .object({ unhealthy_endpoints: z.array(z.object({ model_id: z.string() })) })
    .parse(await response.json());
  return endpoints.map((endpoint) => endpoint.model_id);
};

const usesRedis = (gateway: TestGateway) =>
  until(async () =>
    (await (await gateway.request('/health/ready')).text()).includes('"cache":{"type":"redis","status":"connected"}'),
  );

it('a cooldown is known to a sibling process within a second, and to one that starts later', async () => {
  const [one, two] = await Promise.all([start(), start()]);
  await Promise.all([usesRedis(one), usesRedis(two)]);
  // The client sees nothing of it: the other deployment answers.
  await until(async () => {
    expect((await one.post('/v1/chat/completions', hello)).status).toBe(200);
    return (await cooling(one)).length > 0;
  });
  await until(async () => (await cooling(two)).includes('deployment-0'), 1_000);
  const late = await start();
  await usesRedis(late);
  expect(await cooling(late)).toEqual(['deployment-0']);
  await Promise.all([one.stop(), two.stop(), late.stop()]);
});
