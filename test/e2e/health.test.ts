import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import {
  configFor,
  hello,
  masterKey,
  migratedDatabase,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

const newestMigration = readdirSync(new URL('../../gateway/stores/migrations', import.meta.url))
  .filter((name) => /^\d{4}_.*\.sql$/.test(name))
  .toSorted()
  .at(-1)
  ?.replace(/\.sql$/, '');
let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream' });
  gateway = await startTestGateway({
    config: configFor([upstream.url]),
    databaseUrl: database.url,
    environment: { HOLDFAST_IMAGE: 'gateway:1.2.3' },
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const json = async (path: string, init?: RequestInit): Promise<unknown> => (await gateway.request(path, init)).json();

it('the health pages need no key, answer what probes and people expect, and call no upstream', async () => {
  expect(await json('/health')).toEqual({ status: 'healthy' });
  expect(await json('/health/liveliness')).toBe("I'm alive!");
  expect(await json('/health/liveness')).toBe("I'm alive!");
  for (const path of ['/health/readiness', '/health/ready']) {
    expect(await json(path)).toMatchObject({ status: 'healthy', reasons: [], db: 'connected', cache: null });
    // What regions are compared by.
    expect(await json(path)).toMatchObject({ image: 'gateway:1.2.3' });
    expect(await json(path)).toMatchObject({ schema_version: newestMigration, config_version: expect.any(Number) });
  }
  expect(upstream.requests).toHaveLength(0);
});

it('/health with a key lists the deployments in the shape of LiteLLM, still without calling them', async () => {
  const answer = await json('/health', { headers: { authorization: `Bearer ${masterKey}` } });
  expect(answer).toMatchObject({
    healthy_count: 1,
    unhealthy_count: 0,
    healthy_endpoints: [{ model: 'openai/upstream-model', model_id: 'deployment-0' }],
  });
  expect(
    (await gateway.request('/health', { headers: { authorization: 'Bearer sk-wrong-key-0123456789' } })).status,
  ).toBe(401);
  expect(upstream.requests).toHaveLength(0);
});

it('/metrics counts under the names of LiteLLM, and shows no key', async () => {
  await (await gateway.post('/v1/chat/completions', hello)).text();
  const response = await gateway.request('/metrics');
  const text = await response.text();
  expect(response.headers.get('content-type')).toContain('text/plain');
  expect(text).toContain('litellm_proxy_total_requests_metric_total{requested_model="chat",status_code="200"} 1');
  expect(text).toContain('litellm_deployment_state{');
  expect(text).toContain('holdfast_database_up 1');
  expect(text).not.toContain(masterKey);
});
