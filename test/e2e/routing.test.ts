import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, masterKey, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const path = '/v1/chat/completions';
const answeredBy = (response: Response): string | null => response.headers.get('x-litellm-model-id');
const saying = (model: string, content: string, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content }],
  ...more,
});

describe('least-busy', () => {
  let gateway: TestGateway;
  let upstreams: Upstream[];
  /** Streams that were begun and wait; each resolves when its connection closes. */
  const held: Promise<void>[] = [];

  beforeAll(async () => {
    upstreams = await Promise.all(
      ['one', 'two'].map((name) =>
        startUpstream({
          name,
          intercept: (request, response) => {
            if (request.body['stream'] !== true) return false;
            held.push(new Promise((resolve) => response.on('close', () => resolve())));
            response.writeHead(200, { 'content-type': 'text/event-stream' });
            response.write('data: {"choices":[{"index":0,"delta":{"content":"so"}}]}\n\n');
            return true;
          },
        }),
      ),
    );
    const urls = upstreams.map(({ url }) => url);
    gateway = await startTestGateway({ config: configFor(urls, 'router_settings: {routing_strategy: least-busy}') });
  });
  afterAll(async () => {
    await gateway.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });

  it('requests go to the idle deployment while a stream runs on the other, and to both again when its client has left', async () => {
    const client = new AbortController();
    const stream = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}` },
      body: JSON.stringify({ ...hello, stream: true }),
      signal: client.signal,
    });
    const busy = answeredBy(stream);
    await stream.body?.getReader().read();
    for (let request = 0; request < 10; request++) expect(await ask()).not.toBe(busy);
    client.abort();
    await Promise.all(held);
    await until(async () => (await ask()) === busy);
    // Had it been counted down twice, it would be chosen for ever.
    await until(async () => (await ask()) !== busy);
  });

  const ask = async (): Promise<string | null> => {
    const response = await gateway.post(path, hello);
    await response.arrayBuffer();
    return answeredBy(response);
  };
});

describe('latency-based-routing', () => {
  let gateway: TestGateway;
  let upstreams: Upstream[];

  beforeAll(async () => {
    upstreams = await Promise.all([
      startUpstream({ name: 'fast' }),
      startUpstream({ name: 'slow', intercept: () => sleep(150).then(() => false) }),
    ]);
    const urls = upstreams.map(({ url }) => url);
    gateway = await startTestGateway({
      config: configFor(urls, 'router_settings: {routing_strategy: latency-based-routing}'),
    });
  });
  afterAll(async () => {
    await gateway.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });

  it.each([false, true])(
    'each deployment is tried once, then every request goes to the fast one (stream: %s)',
    async (stream) => {
      const ids: (string | null)[] = [];
      for (let request = 0; request < 10; request++) {
        const response = await gateway.post(path, { ...hello, stream });
        await response.arrayBuffer();
        ids.push(answeredBy(response));
      }
      expect(new Set(ids.slice(0, 2))).toEqual(new Set(['deployment-0', 'deployment-1']));
      expect(ids.slice(2)).toEqual(ids.slice(2).map(() => 'deployment-0'));
    },
  );
});

describe('who may serve a request', () => {
  let gateway: TestGateway;
  let upstream: Upstream;

  beforeAll(async () => {
    upstream = await startUpstream({
      name: 'all of them',
      intercept: ({ body }, response) => {
        const broken =
          body['model'] === 'broken' || JSON.stringify(body['messages']).includes(`no ${String(body['model'])}`);
        if (broken) sendJson(response, 500, { error: { message: 'out of order' } });
        return broken;
      },
    });
    const base = `api_base: "${upstream.url}", api_key: sk-upstream`;
    gateway = await startTestGateway({
      config: `
model_list:
  - {model_name: tagged, litellm_params: {model: openai/m, ${base}, tags: [free]}, model_info: {id: free}}
  - {model_name: tagged, litellm_params: {model: openai/m, ${base}, tags: [paid, eu]}, model_info: {id: paid}}
  - {model_name: openai/*, litellm_params: {model: openai/*, ${base}}, model_info: {id: wild}}
  - {model_name: broken, litellm_params: {model: openai/broken, ${base}}}
  - {model_name: local, litellm_params: {model: hosted_vllm/some-model, ${base}}, model_info: {id: local}}
  - {model_name: small, litellm_params: {model: openai/m, ${base}}, model_info: {id: small, max_input_tokens: 200}}
  - {model_name: helped, litellm_params: {model: openai/m, ${base}}, model_info: {id: helped, max_input_tokens: 200}}
  - {model_name: large, litellm_params: {model: openai/m, ${base}}, model_info: {id: large, max_input_tokens: 100000}}
  - {model_name: ordered, litellm_params: {model: openai/third, ${base}}, model_info: {id: third}}
  - {model_name: ordered, litellm_params: {model: openai/second, ${base}, order: 2}, model_info: {id: second}}
  - {model_name: ordered, litellm_params: {model: openai/first, ${base}, order: 1}, model_info: {id: first}}
router_settings:
  num_retries: 2
  enable_tag_filtering: true
  enable_pre_call_checks: true
  disable_cooldowns: true
  fallbacks: [{broken: [hosted_vllm/some-model]}]
  context_window_fallbacks: [{helped: [large]}]
`,
    });
  });
  afterAll(async () => {
    await gateway.stop();
    await upstream.close();
  });

  it.each<[string, object, Readonly<Record<string, string>>]>([
    ['the header x-litellm-tags', {}, { 'x-litellm-tags': 'us, paid' }],
    ['tags in the body', { tags: ['paid'] }, {}],
    ['metadata.tags in the body', { metadata: { tags: ['eu'] } }, {}],
  ])('the tags of %s choose the deployment', async (_where, more, headers) => {
    for (let request = 0; request < 5; request++) {
      const response = await gateway.post(path, saying('tagged', 'Hello!', more), headers);
      expect([response.status, answeredBy(response)]).toEqual([200, 'paid']);
    }
  });

  it('tags that nobody has are refused with 401, and no upstream is called', async () => {
    const before = upstream.requests.length;
    const response = await gateway.post(path, saying('tagged', 'Hello!', { tags: ['unknown'] }));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining('unknown'), code: '401' },
    });
    expect(upstream.requests).toHaveLength(before);
  });

  it('openai/* reaches the upstream with the concrete name', async () => {
    const response = await gateway.post(path, saying('openai/gpt-4o-mini', 'Hello!'));
    expect([response.status, answeredBy(response)]).toEqual([200, 'wild']);
    expect(upstream.requests.at(-1)?.body['model']).toBe('gpt-4o-mini');
  });

  it('a fallback may name a model string', async () => {
    const response = await gateway.post(path, saying('broken', 'Hello!', { num_retries: 0 }));
    expect([response.status, answeredBy(response)]).toEqual([200, 'local']);
    expect(upstream.requests.at(-1)?.body['model']).toBe('some-model');
  });

  it('a deployment id serves as a model', async () => {
    const response = await gateway.post(path, saying('third', 'Hello!'));
    expect([response.status, answeredBy(response)]).toEqual([200, 'third']);
    expect(upstream.requests.at(-1)?.body['model']).toBe('third');
  });

  it('a prompt that no window holds is refused with 400 ContextWindowExceededError before any upstream is called', async () => {
    const before = upstream.requests.length;
    const response = await gateway.post(path, saying('small', 'word '.repeat(1_000)));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining('ContextWindowExceededError'), code: '400' },
    });
    expect(upstream.requests).toHaveLength(before);
  });

  it('context_window_fallbacks serve it where they are configured', async () => {
    const response = await gateway.post(path, saying('helped', 'word '.repeat(1_000)));
    expect([response.status, answeredBy(response)]).toEqual([200, 'large']);
    expect(upstream.requests.at(-1)?.body['model']).toBe('m');
  });

  it('a picture does not overflow a window', async () => {
    const url = `data:image/png;base64,${'A'.repeat(50_000)}`;
    const content = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url } },
    ];
    const response = await gateway.post(path, { model: 'small', messages: [{ role: 'user', content }] });
    expect([response.status, answeredBy(response)]).toEqual([200, 'small']);
  });

  it.each([
    ['Hello!', ['first']],
    ['no first', ['first', 'second']],
    ['no first, no second', ['first', 'second', 'third']],
  ])('lower orders first, those without an order last: %j tries %j', async (content, tried) => {
    const before = upstream.requests.length;
    const response = await gateway.post(path, saying('ordered', content));
    expect(response.status).toBe(200);
    expect(upstream.requests.slice(before).map(({ body }) => body['model'])).toEqual(tried);
  });
});
