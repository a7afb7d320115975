import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { hello, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { freshRedis, type TestRedis } from '../support/redis.ts';

/** Requests a minute that the deployment may get. */
const rpm = 20;
/** Half a second between exchanges, and what the message takes. */
const staleSeconds = 1;
const requestsPerSecond = 10;

let redis: TestRedis;
let upstream: Upstream;
/** Wall clock, milliseconds. */
const arrivals: number[] = [];

beforeAll(async () => {
  redis = await freshRedis();
  upstream = await startUpstream({
    name: 'limited',
    intercept: () => {
      arrivals.push(Date.now());
      return false;
    },
  });
});

afterAll(async () => {
  await upstream.close();
  await redis.flush();
});

const start = (settings: string): Promise<TestGateway> =>
  startTestGateway({
    config: `
model_list:
  - model_name: chat
    litellm_params: {model: openai/upstream-model, api_base: "${upstream.url}", api_key: sk-upstream, rpm: ${rpm}}
    model_info: {id: limited}
router_settings: ${settings}`,
    environment: { REDIS_URL: redis.url },
  });

const usesRedis = (gateway: TestGateway) =>
  until(async () => (await (await gateway.request('/health/ready')).text()).includes('"status":"connected"'));

async function ask(gateway: TestGateway | undefined, answers: Response[]): Promise<void> {
  if (gateway !== undefined) answers.push(await gateway.post('/v1/chat/completions', hello));
}

it('two processes together keep a deployment within its rpm, but for what came in the second before', async () => {
  const settings = '{optional_pre_call_checks: [enforce_model_rate_limits], num_retries: 0}';
  const gateways = await Promise.all([start(settings), start(settings)]);
  await Promise.all(gateways.map(usesRedis));
  const answers: Response[] = [];
  const pending: Promise<void>[] = [];
  // Evenly over both, at a steady pace, until one refuses.
  for (let sent = 0; sent < 6 * rpm && answers.every(({ status }) => status === 200); sent++) {
    pending.push(ask(gateways[sent % 2], answers));
    await new Promise((resolve) => setTimeout(resolve, 1_000 / requestsPerSecond));
  }
  await Promise.all(pending);
  const refused = answers.find(({ status }) => status === 429);

  // The minutes are those of the common clock.
  const perMinute = Object.values(Object.groupBy(arrivals, (at) => Math.floor(at / 60_000))).map((all) => all?.length);
  for (const count of perMinute) expect(count).toBeLessThanOrEqual(rpm + staleSeconds * requestsPerSecond);
  // One process alone would have let as many through as both may.
  expect(arrivals.length).toBeGreaterThanOrEqual(rpm);
  expect(refused?.status).toBe(429);
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused?.headers.get('retry-after'))).toBeLessThanOrEqual(60);
  expect(await refused?.json()).toMatchObject({
    error: {
      message: expect.stringMatching(/Model rate limit exceeded\. RPM limit=20, current usage=2\d/),
      type: 'rate_limit_error',
      code: '429',
    },
  });
  await Promise.all(gateways.map((gateway) => gateway.stop()));
});
