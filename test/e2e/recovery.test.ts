import type { ServerResponse } from 'node:http';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson, startUpstream, type Upstream, type UpstreamRequest } from '../../runbooks/lab/upstream.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { within } from '../support/quiet-machine.ts';

const path = '/v1/chat/completions';
const messages = [{ role: 'user' as const, content: 'Hello!' }];
const sse = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const chunk = (delta: object, more: object = {}): string =>
  sse({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, ...more }] });

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;
/** Of an ordinary caller that may use some of the models. */
let key: string;

/** Connections of whoever is silent; closed by the gateway. */
const closed: string[] = [];

/** What the upstream does is the provider's name for the model. */
function behave({ body }: UpstreamRequest, response: ServerResponse): boolean {
  const model = String(body['model']);
  response.on('close', () => closed.push(model));
  const begin = (...events: string[]): true => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(events.join(''));
    return true;
  };
  switch (model) {
    case 'broken':
      sendJson(response, 500, { error: { message: 'out of order' } });
      return true;
    case 'limits':
      sendJson(
        response,
        200,
        { id: 'c', object: 'chat.completion', model, choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } },
        { 'x-request-id': 'req_7', 'x-ratelimit-remaining-requests': '59', 'set-cookie': 'a=b', server: 'somebody' },
      );
      return true;
    case 'refuses':
      sendJson(
        response,
        429,
        { error: { message: 'slow down' } },
        { 'x-request-id': 'req_8', 'retry-after': '7', 'x-ratelimit-remaining-requests': '0', 'set-cookie': 'a=b' },
      );
      return true;
    case 'silent':
      return begin();
    case 'pinging': {
      begin();
      const timer = setInterval(() => response.write(': ping\n\n'), 50);
      response.on('close', () => clearInterval(timer));
      return true;
    }
    case 'refuses-late':
      return begin(chunk({ role: 'assistant', content: '' }), sse({ error: { message: 'overloaded', code: 503 } }));
    case 'stalls':
      return begin(
        chunk({ content: 'so' }),
        sse({ choices: [{ index: 0, delta: { content: ' far' } }], usage: { prompt_tokens: 5, completion_tokens: 2 } }),
      );
    case 'stalls-pinging': {
      begin(chunk({ content: 'so' }));
      const timer = setInterval(() => response.write(': ping\n\n'), 50);
      response.on('close', () => clearInterval(timer));
      return true;
    }
    case 'slow': {
      begin(chunk({ role: 'assistant' }));
      let left = 5;
      const timer = setInterval(() => {
        if (left-- > 0) response.write(chunk({ content: 'x' }));
        else response.end(chunk({}, { finish_reason: 'stop' }) + 'data: [DONE]\n\n');
      }, 400);
      response.on('close', () => clearInterval(timer));
      return true;
    }
    default:
      return false;
  }
}

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream', intercept: behave });
  const entry = (group: string, model: string, more = ''): string =>
    `  - {model_name: ${group}, litellm_params: {model: openai/${model}, api_base: "${upstream.url}", api_key: sk-u, ` +
    `input_cost_per_token: 0.001, output_cost_per_token: 0.001${more}}, model_info: {id: ${group}-id}}`;
  const models = ['broken', 'silent', 'pinging', 'refuses-late', 'stalls', 'stalls-pinging'];
  gateway = await startTestGateway({
    databaseUrl: database.url,
    config: `
model_list:
${models.map((model) => entry(model, model, ', stream_timeout: 0.4, stream_idle_timeout: 0.3')).join('\n')}
${entry('chat', 'upstream-model', ', region_name: eu-1, timeout: 33')}
${entry('slow', 'slow', ', stream_timeout: 1.5, stream_idle_timeout: 1.5')}
${entry('spare', 'spare-model')}
${entry('limits', 'limits')}
${entry('refuses', 'refuses')}
${entry('large', 'large-model')}
  - {model_name: canned, litellm_params: {model: openai/gpt-4o, mock_response: "Canned!", input_cost_per_token: 1}}
  - {model_name: canned-failure, litellm_params: {model: openai/gpt-4o, mock_response: litellm.RateLimitError}}
router_settings:
  num_retries: 0
  timeout: 20
  disable_cooldowns: true
  fallbacks: [{"broken": [spare]}, {chat: [spare]}, {silent: [spare]}, {pinging: [spare]}, {refuses-late: [spare]}, {stalls: [spare]}]
  context_window_fallbacks: [{chat: [large]}]
`,
  });
  const made = await gateway.post('/key/generate', { models: ['chat', 'broken', 'canned'] });
  key = String(Object.entries(Object(await made.json())).find(([name]) => name === 'key')?.[1]);
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const ask = (model: string, more: object = {}, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  gateway.post(path, { model, messages, ...more }, headers);
const answeredBy = (response: Response): string | null => response.headers.get('x-litellm-model-id');

async function rowOf(callId: string): Promise<Record<string, unknown>> {
  const rows = () => query(database.url, `SELECT * FROM spend_entry WHERE call_id = '${callId}'`);
  await until(async () => (await rows()).length > 0);
  const found = await rows();
  expect(found).toHaveLength(1);
  return found[0] ?? {};
}

describe('test hooks in a request', () => {
  it.each([false, true])(
    'mock_response answers the official client, asks nobody and is booked with cost 0 (stream: %s)',
    async (stream) => {
      const before = upstream.requests.length;
      const callId = `mock ${stream}`;
      const client = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
      const asked = { model: 'chat', messages, mock_response: 'I am a mock' };
      const options = { headers: { 'x-litellm-call-id': callId } };
      let text: string | null | undefined = '';
      if (stream) {
        const events = await client.chat.completions.create({ ...asked, stream: true }, options);
        for await (const event of events) text += event.choices[0]?.delta.content ?? '';
      } else {
        const { data, response } = await client.chat.completions.create(asked, options).withResponse();
        text = data.choices[0]?.message.content;
        expect(data.model).toBe('chat');
        expect(response.headers.get('x-litellm-response-cost')).toBe('0');
      }
      expect(text).toBe('I am a mock');
      expect(upstream.requests).toHaveLength(before);
      expect(await rowOf(callId)).toMatchObject({ status: 200, ending: 'finished', cost_micros: 0n });
    },
  );

  it('mock_response speaks the client’s own API, too', async () => {
    const response = await gateway.post('/v1/messages', {
      model: 'chat',
      max_tokens: 10,
      messages,
      mock_response: 'I am a mock',
    });
    expect(await response.json()).toMatchObject({ type: 'message', content: [{ type: 'text', text: 'I am a mock' }] });
  });

  it('mock_response of a deployment answers everybody, without any provider key', async () => {
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'x-litellm-call-id': 'canned' },
      body: JSON.stringify({ model: 'canned', messages }),
    });
    expect(await response.json()).toMatchObject({ model: 'canned', choices: [{ message: { content: 'Canned!' } }] });
    expect(await rowOf('canned')).toMatchObject({ cost_micros: 0n });
    expect((await ask('canned-failure')).status).toBe(429);
  });

  it('mock_testing_fallbacks and its kin show the fallback, and never reach an upstream', async () => {
    const general = await ask('chat', { mock_testing_fallbacks: true });
    expect([general.status, answeredBy(general), general.headers.get('x-litellm-attempted-fallbacks')]).toEqual([
      200,
      'spare-id',
      '1',
    ]);
    expect(answeredBy(await ask('chat', { mock_testing_context_window_fallbacks: true }))).toBe('large-id');
    const limited = await ask('chat', { mock_testing_rate_limit_error: true, disable_fallbacks: true, num_retries: 1 });
    expect([limited.status, limited.headers.get('x-litellm-attempted-retries')]).toEqual([200, '1']);
    for (const { body } of upstream.requests.slice(-3))
      expect(Object.keys(body).toSorted()).toEqual(['messages', 'model']);
  });

  it('mock_timeout with a timeout ends with 408 after that time', async () => {
    const startedAt = performance.now();
    const response = await ask('chat', { mock_timeout: true, timeout: 0.3 });
    expect(response.status).toBe(408);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
    expect(response.headers.get('x-litellm-timeout')).toBe('0.3');
    expect(await response.json()).toMatchObject({
      error: { code: '408', message: expect.stringContaining('Timeout') },
    });
  });

  it.each(['mock_response', 'mock_timeout', 'mock_testing_fallbacks', 'mock_testing_rate_limit_error'])(
    '%s of an ordinary key is refused with 403, and nobody is asked',
    async (hook) => {
      const before = upstream.requests.length;
      const response = await fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ model: 'chat', messages, [hook]: true }),
      });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain('dangerously_allow_mock_testing_request_params');
      expect(upstream.requests).toHaveLength(before);
    },
  );

  it('allow_client_mock_response in the metadata of a key allows it mock_response alone, and goes with the metadata', async () => {
    const made = await gateway.post('/key/generate', { metadata: { allow_client_mock_response: true } });
    const own = String(Reflect.get(Object(await made.json()), 'key'));
    const pretend = (body: object) =>
      gateway.post(path, { model: 'chat', messages, ...body }, { authorization: `Bearer ${own}` });
    const before = upstream.requests.length;
    const mocked = await pretend({ mock_response: 'As I said.' });
    expect(mocked.status).toBe(200);
    expect(await mocked.text()).toContain('As I said.');
    for (const hook of ['mock_timeout', 'mock_testing_fallbacks', 'mock_testing_rate_limit_error']) {
      expect((await pretend({ mock_response: 'x', [hook]: true })).status).toBe(403);
    }
    expect(upstream.requests).toHaveLength(before);
    await gateway.post('/key/update', { key: own, metadata: { team: 'blue' } });
    await until(async () => (await pretend({ mock_response: 'As I said.' })).status === 403);
  });
});

describe('fallbacks of a request', () => {
  it('as objects change what they name for that attempt', async () => {
    const shorter = [{ role: 'user', content: 'Hi' }];
    const response = await ask('broken', { temperature: 1, fallbacks: [{ model: 'spare', messages: shorter }] });
    expect([response.status, answeredBy(response)]).toEqual([200, 'spare-id']);
    expect(upstream.requests.at(-1)?.body).toEqual({ model: 'spare-model', messages: shorter, temperature: 1 });
  });

  it('need the right to every model that they name, in either form', async () => {
    for (const fallbacks of [['spare'], [{ model: 'chat' }, { model: 'spare', messages }]]) {
      const response = await fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ model: 'broken', messages, fallbacks }),
      });
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining('spare') } });
    }
  });

  it('as objects in a client’s own API are in its words', async () => {
    const response = await gateway.post('/v1/messages', {
      model: 'broken',
      max_tokens: 10,
      messages,
      fallbacks: [{ model: 'spare', messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }],
    });
    expect(await response.json()).toMatchObject({ content: [{ text: 'This is the upstream. You said: Hi' }] });
  });
});

describe('the model in an answer', () => {
  const modelsOf = async (response: Response): Promise<unknown[]> => {
    const text = await response.text();
    return [...new Set([...text.matchAll(/"model":"([^"]*)"/g)].map(([, model]) => model))];
  };

  it.each([false, true])(
    'is the one that was asked for, after a fallback the real one (stream: %s)',
    async (stream) => {
      expect(await modelsOf(await ask('chat', { stream }))).toEqual(['chat']);
      expect(await modelsOf(await ask('broken', { stream }))).toEqual(['spare-model']);
    },
  );

  it('of embeddings and of other client APIs is so, too', async () => {
    expect(await modelsOf(await gateway.post('/v1/embeddings', { model: 'chat', input: 'x' }))).toEqual(['chat']);
    const message = await gateway.post('/v1/messages', { model: 'chat', max_tokens: 10, messages, stream: true });
    expect(await modelsOf(message)).toEqual(['chat']);
  });
});

describe('headers', () => {
  it('tell of the answer what LiteLLM’s tell', async () => {
    const { headers } = await ask('chat', { num_retries: 5 });
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-litellm-version': expect.stringMatching(/^\d+\.\d+\.\d+/),
      'x-litellm-model-id': 'chat-id',
      'x-litellm-model-group': 'chat',
      'x-litellm-model-region': 'eu-1',
      'x-litellm-timeout': '33',
      'x-litellm-max-retries': '5',
      'x-litellm-attempted-retries': '0',
      'x-litellm-attempted-fallbacks': '0',
    });
    const overhead = Number(headers.get('x-litellm-overhead-duration-ms'));
    expect(overhead).toBeGreaterThan(0);
    expect(overhead).toBeLessThanOrEqual(Number(headers.get('x-litellm-response-duration-ms')) + 2);
  });

  it('hand on the provider’s ids and limits, and no other header of it', async () => {
    const { headers } = await ask('limits');
    expect(headers.get('llm_provider-x-request-id')).toBe('req_7');
    expect(headers.get('llm_provider-x-ratelimit-remaining-requests')).toBe('59');
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('59');
    expect([...headers.keys()].filter((name) => /cookie|server/.test(name))).toEqual([]);
  });

  it('of the provider are handed on with its refusal, too', async () => {
    const { status, headers } = await ask('refuses');
    expect(status).toBe(429);
    expect(Object.fromEntries(headers)).toMatchObject({
      'llm_provider-x-request-id': 'req_8',
      'llm_provider-retry-after': '7',
      'llm_provider-x-ratelimit-remaining-requests': '0',
      'x-ratelimit-remaining-requests': '0',
      'retry-after': '7',
      'x-litellm-model-id': 'refuses-id',
    });
    expect([...headers.keys()].filter((name) => name.includes('cookie'))).toEqual([]);
  });

  it('of a failure tell how far it came', async () => {
    const { status, headers } = await ask('broken', { disable_fallbacks: true, num_retries: 1 });
    expect(status).toBe(500);
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-litellm-model-id': 'broken-id',
      'x-litellm-attempted-retries': '1',
      'x-litellm-attempted-fallbacks': '0',
      'x-litellm-version': expect.any(String),
    });
  });

  it('x-litellm-stream-timeout bounds the wait for the first chunk', async () => {
    const asked = { stream: true, disable_fallbacks: true };
    const response = await ask('silent', asked, { 'x-litellm-stream-timeout': '0.1' });
    expect([response.status, response.headers.get('x-litellm-timeout')]).toEqual([408, '0.1']);
    expect(await response.text()).toContain('no first chunk in time');
  });
});

describe('a stream', () => {
  it.each([
    ['silent', 'says nothing at all (#40404)'],
    ['pinging', 'sends comments for ever'],
    ['refuses-late', 'says who it is and then that it cannot (#38610)'],
  ])('of %s, which %s, is served by the fallback; with disable_fallbacks it fails', async (model) => {
    const response = await ask(model, { stream: true, num_retries: 0 });
    expect([response.status, answeredBy(response)]).toEqual([200, 'spare-id']);
    expect(await response.text()).toMatch(/"content":"Hello!"[\s\S]*\[DONE\]\n\n$/);
    const alone = await ask(model, { stream: true, num_retries: 0, disable_fallbacks: true });
    expect(alone.status).toBeGreaterThanOrEqual(400);
    expect(await alone.json()).toMatchObject({ error: { code: String(alone.status) } });
  });

  it.each(['stalls', 'stalls-pinging'])(
    'of %s ends with an error event, lets the upstream go, asks no fallback and is booked once (#40404, #19077)',
    async (model) => {
      const before = upstream.requests.length;
      const callId = `stream ${model}`;
      const response = await ask(model, { stream: true }, { 'x-litellm-call-id': callId });
      const text = await response.text();
      expect(text).toContain('so');
      expect(text).toMatch(
        /data: {"error":{"message":"litellm\.Timeout: [^\n]*the answer stalled[^\n]*"code":"408"}}\n\n$/,
      );
      expect(text).not.toContain('[DONE]');
      await until(() => closed.includes(model));
      expect(upstream.requests).toHaveLength(before + 1);
      const row = await rowOf(callId);
      const reported = model === 'stalls';
      expect(row).toMatchObject({ status: 200, ending: 'broken', deployment_id: `${model}-id`, estimated: !reported });
      // What the provider reported is billed as it said; what it never reported is estimated: the prompt and one word.
      if (reported) expect(row['cost_micros']).toBe(7_000n);
      else
        expect(row).toMatchObject({
          completion_tokens: 1,
          cost_micros: BigInt(Number(row['prompt_tokens']) + 1) * 1_000n,
        });
    },
  );

  it('that is slow but alive lives longer than its idle time and its time to the first chunk', async () => {
    const response = await ask('slow', { stream: true });
    const text = await response.text();
    expect(text.match(/"content":"x"/g)).toHaveLength(5);
    expect(text).toMatch(/\[DONE\]\n\n$/);
  });
});

it('a client that leaves while it waits for a whole answer closes the upstream connection within 250 ms and leaves one row', async () => {
  const abort = new AbortController();
  const before = upstream.requests.length;
  const running = fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${masterKey}`, 'x-litellm-call-id': 'left' },
    body: JSON.stringify({ model: 'silent', messages }),
    signal: abort.signal,
  }).catch(() => undefined);
  await until(() => upstream.requests.length > before);
  closed.length = 0;
  const leftAt = performance.now();
  abort.abort();
  await until(() => closed.includes('silent'));
  expect(performance.now() - leftAt).toBeLessThan(within(250));
  await running;
  expect(await rowOf('left')).toMatchObject({ ending: 'abandoned', status: 499 });
});
