import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { masterKey, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

let upstream: Upstream;
let directory: string;
let gateway: TestGateway;

/** Answers whose usage has parts with prices of their own. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-prices-'));
  upstream = await startUpstream({
    name: 'priced',
    intercept: ({ path }, response) => {
      if (path === '/v1/audio/transcriptions') {
        sendJson(response, 200, { text: 'Hello!', duration: 8.47, usage: { type: 'duration', seconds: 9 } });
        return true;
      }
      sendJson(response, 200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
        usage: {
          prompt_tokens: 10_000,
          completion_tokens: 100,
          total_tokens: 10_100,
          prompt_tokens_details: { cached_tokens: 8_000 },
        },
      });
      return true;
    },
  });
  const map = join(directory, 'prices.json');
  await writeFile(
    map,
    JSON.stringify({
      'my-model': { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6, max_input_tokens: 2_000 },
    }),
  );
  gateway = await startTestGateway({ config: config(map) });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await rm(directory, { recursive: true, force: true });
});

const config = (map: string): string => `
model_list:
  - model_name: known
    litellm_params: {model: openai/prod-eastus-7, api_base: "${upstream.url}", api_key: sk-upstream, region_name: eu}
    model_info: {base_model: gpt-4o}
  - model_name: stated
    litellm_params: {model: openai/gpt-4o, api_base: "${upstream.url}", api_key: sk-upstream, input_cost_per_token: 0, output_cost_per_token: "0.000001"}
  - model_name: mapped
    litellm_params: {model: openai/own, api_base: "${upstream.url}", api_key: sk-upstream, base_model: my-model}
  - model_name: heard
    litellm_params: {model: openai/whisper-1, api_base: "${upstream.url}", api_key: sk-upstream, input_cost_per_second: 0.0001}
  - model_name: unknown
    litellm_params: {model: openai/gpt-4o, api_base: "${upstream.url}", api_key: sk-upstream}
    model_info: {id: somebody-elses}
litellm_settings: {model_cost_map: "${map}"}
router_settings:
  enable_pre_call_checks: true
  context_window_fallbacks: [{mapped: [known]}]`;

const ask = (model: string, over: object = {}) =>
  gateway.post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hello!' }], ...over });
const costOf = async (model: string): Promise<string | null> => {
  const response = await ask(model);
  expect(response.status).toBe(200);
  return response.headers.get('x-litellm-response-cost');
};

describe('the cost of an answer', () => {
  it('is exact, with cached tokens at their own price, by the base model of a deployment whose name says nothing', async () => {
    // 2,000 x 2.5 + 8,000 x 1.25 + 100 x 10 millionths.
    expect(await costOf('known')).toBe('0.016');
  });

  it('is by the prices of the entry before all others, and by the map before those that come along', async () => {
    expect(await costOf('stated')).toBe('0.0001');
    expect(await costOf('mapped')).toBe('0.0102');
  });

  it('of a transcription that is paid by the second is for the seconds that the provider bills', async () => {
    const form = new FormData();
    form.set('model', 'heard');
    form.set('file', new File([Buffer.alloc(100)], 'recording.mp3'));
    const sent = new Response(form);
    const response = await gateway.request('/v1/audio/transcriptions', {
      method: 'POST',
      headers: { 'content-type': sent.headers.get('content-type') ?? '', authorization: `Bearer ${masterKey}` },
      body: Buffer.from(await sent.arrayBuffer()),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-litellm-response-cost')).toBe('0.0009');
  });

  it('of a model that no list can know is unknown: no header, a counter, and a warning at the start that says what to write', async () => {
    expect(await costOf('unknown')).toBeNull();
    const metrics = await (await gateway.request('/metrics')).text();
    expect(metrics).toContain('holdfast_deployments_without_price 1');
    expect(metrics).toContain('holdfast_requests_without_cost_total{requested_model="unknown"} 1');
    const warnings = async () =>
      (await gateway.output()).split('\n').filter((line) => line.includes('no price is known'));
    // Log lines are written some at a time.
    await until(async () => (await warnings()).length > 0);
    const [warning] = await warnings();
    expect(warning).toContain('unknown (somebody-elses)');
    expect(warning).not.toContain('known (0');
    expect(warning).toContain('base_model');
  });
});

it('a prompt that is longer than the window of its model goes to the context window fallback, by a count and not by its bytes', async () => {
  // Five bytes a token: 2,100 tokens in 10,500 bytes, 1,900 in 9,500. A quarter of the bytes would be too many for both.
  const short = await ask('mapped', { messages: [{ role: 'user', content: ' word'.repeat(1_900) }] });
  expect(short.headers.get('x-litellm-attempted-fallbacks')).toBe('0');
  const long = await ask('mapped', { messages: [{ role: 'user', content: ' word'.repeat(2_100) }] });
  expect(long.status).toBe(200);
  expect(long.headers.get('x-litellm-model-group')).toBe('known');
  const alone = await ask('mapped', {
    messages: [{ role: 'user', content: ' word'.repeat(2_100) }],
    disable_fallbacks: true,
  });
  expect(alone.status).toBe(400);
  expect(await alone.text()).toContain('ContextWindowExceededError');
});

it('a region that a request allows is where it is served, or nowhere', async () => {
  expect((await ask('known', { allowed_model_region: 'eu' })).status).toBe(200);
  const refused = await ask('known', { allowed_model_region: 'us' });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('No deployment of known is in the allowed region us');
  expect((await ask('known', { allowed_model_region: 7 })).status).toBe(400);
});

it('a price map with faults does not start the gateway, and names all of them', async () => {
  const map = join(directory, 'faulty.json');
  await writeFile(map, JSON.stringify({ a: { input_cost_per_token: 'x' }, b: { output_cost_per_token: -1 } }));
  const failing = await startTestGateway({
    config: config('unused.json'),
    environment: { HOLDFAST_MODEL_COST_MAP: map },
    expectFailure: true,
  });
  expect((await failing.exited).code).toBe(2);
  const output = await failing.output();
  expect(output).toContain('faulty.json has 2 faults');
  expect(output).toContain('a.input_cost_per_token: "x" is no price');
  expect(output).toContain('b.output_cost_per_token: -1 is no price');
  await failing.stop();
});
