/** Paths that are sent on as they are: both ways byte for byte, and never with a key of the gateway. */
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { events, json, named, type Recorder, startRecorder } from '../support/recorder.ts';

let database: TestDatabase;
let target: Recorder;
let gateway: TestGateway;
let callerKey: string;

beforeAll(async () => {
  database = await migratedDatabase();
  target = await startRecorder(json(200, {}));
  const { origin } = target;
  gateway = await startTestGateway({
    config: `model_list:
  - {model_name: claude, litellm_params: {model: anthropic/claude, api_base: "${origin}", api_key: sk-ant-lent, use_in_pass_through: true}, model_info: {id: lender}}
  - {model_name: gemini, litellm_params: {model: gemini/gemini-2.0-flash, api_base: "${origin}", api_key: gemini-lent, use_in_pass_through: true}}
general_settings:
  max_request_size_mb: 1
  pass_through_endpoints:
    - path: /plain
      target: ${origin}/base
      headers: {Authorization: "Bearer os.environ/TARGET_KEY", X-Fixed: 7}
    - {path: /below, target: "${origin}/base?fixed=1", include_subpath: true, methods: [get], default_query_params: {page: 1, size: 5}}
    - {path: /forwards, target: "${origin}/", forward_headers: true, headers: {x-fixed: ours}, include_subpath: true}
    - {path: /open, target: "${origin}/", auth: false, forward_headers: true}
    - {path: /priced, target: "${origin}/", cost_per_request: 0.0125}
    - {path: /dead, target: "http://127.0.0.1:1/"}
    - {path: /slow, target: "${origin}/", timeout: 0.3}
    - {path: /v1/rerank, target: "${origin}/their-rerank"}
`,
    databaseUrl: database.url,
    environment: { TARGET_KEY: 'sk-of-the-target', OPENAI_API_KEY: 'sk-openai-lent', OPENAI_BASE_URL: `${origin}/v1` },
  });
  const made = await gateway.post('/key/generate', { models: ['claude'] });
  callerKey = z.object({ key: z.string() }).parse(await made.json()).key;
});

afterAll(async () => {
  await gateway.stop();
  await target.close();
  await database.drop();
});

beforeEach(() => {
  target.behave = json(200, { fine: true });
  target.requests.length = 0;
});

const withKey = (headers: Readonly<Record<string, string>> = {}, key = callerKey) => ({
  authorization: `Bearer ${key}`,
  ...headers,
});
/** Everything that reached the target, as text. */
const arrived = (): string =>
  target.requests.map(({ path, headers, bytes }) => path + JSON.stringify(headers) + bytes.toString()).join('\n');

describe('a request', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])(
    'by %s arrives with its body, its content type and the configured headers, and nothing else of the client',
    async (method) => {
      const response = await gateway.request('/plain?a=1&a=2&b=%20', {
        method,
        headers: withKey({ 'content-type': 'text/x-any', 'x-client': 'own', cookie: 'a=b' }),
        ...(method === 'GET' ? {} : { body: 'any bytes' }),
      });
      expect(await response.json()).toEqual({ fine: true });
      const { headers, bytes, ...line } = target.last();
      expect(line).toMatchObject({ method, path: '/base?a=1&a=2&b=%20' });
      expect(bytes.toString()).toBe(method === 'GET' ? '' : 'any bytes');
      expect(headers).toMatchObject({ authorization: 'Bearer sk-of-the-target', 'x-fixed': '7' });
      expect(headers['x-client']).toBeUndefined();
      expect(headers.cookie).toBeUndefined();
    },
  );

  it('below the path goes below the target, with the default parameters that it does not state itself', async () => {
    await gateway.request('/below/some/one%2Ftwo?page=3', { headers: withKey() });
    const [path, asked] = target.last().path.split('?');
    expect(path).toBe('/base/some/one%2Ftwo');
    expect(Object.fromEntries(new URLSearchParams(asked))).toEqual({ page: '3', size: '5', fixed: '1' });
  });

  it.each(['/below/../secret', '/below/%2e%2e/secret', '/below/a/%252e%252e%252fsecret', '/below/..%5csecret'])(
    'may not leave the target by %s',
    async (path) => {
      // fetch would tidy the path up itself.
      const request = httpRequest({ port: gateway.port, path, headers: withKey() }).end();
      const [response] = await once(request, 'response');
      response.resume();
      expect(response.statusCode).toBeGreaterThanOrEqual(400);
      expect(target.requests).toHaveLength(0);
    },
  );

  it('of a method, or below a path, that the endpoint does not have is not found', async () => {
    expect((await gateway.request('/below/x', { method: 'POST', headers: withKey() })).status).toBe(404);
    expect((await gateway.request('/plain/x', { headers: withKey() })).status).toBe(404);
    expect(target.requests).toHaveLength(0);
  });

  it('without a valid key is refused, unless the endpoint needs none; its start said so', async () => {
    expect((await gateway.request('/plain')).status).toBe(401);
    expect((await gateway.request('/plain', { headers: withKey({}, 'sk-unknown-key-0123456789') })).status).toBe(401);
    expect(target.requests).toHaveLength(0);
    expect((await gateway.request('/open')).status).toBe(200);
    await until(async () => (await gateway.output()).includes('may use /open without a key'));
  });

  it('to a path of a model goes to the target that has taken it over', async () => {
    expect((await gateway.post('/v1/rerank', { anything: 1 })).status).toBe(200);
    expect(target.last().path).toBe('/their-rerank');
  });
});

describe('with forward_headers', () => {
  it('the client headers go on, except those of the connection and those about the gateway', async () => {
    await gateway.request('/forwards/x', {
      headers: withKey({
        'x-client': 'own',
        'x-fixed': 'theirs',
        'x-litellm-tags': 'a',
        'x-forwarded-for': '10.0.0.1',
        te: 'trailers',
      }),
    });
    const { headers } = target.last();
    expect(headers).toMatchObject({ 'x-client': 'own', 'x-fixed': 'ours' });
    expect(Object.keys(headers)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(x-litellm|x-forwarded|te$)/)]),
    );
  });

  it.each([
    ['authorization', { authorization: 'Bearer KEY' }],
    [
      'x-litellm-api-key beside credentials of the target',
      { 'x-litellm-api-key': 'Bearer KEY', authorization: 'Bearer theirs' },
    ],
    ['x-api-key', { 'x-api-key': 'KEY' }],
    ['the same key twice', { authorization: 'Bearer KEY', 'x-other': 'it is KEY' }],
    ['a second key of the gateway', { authorization: 'Bearer KEY', 'x-api-key': 'MASTER' }],
    ['a header to be passed', { authorization: 'Bearer KEY', 'x-pass-x-api-key': 'MASTER', 'x-pass-x-more': 'KEY' }],
  ])('a key of the gateway never reaches the target: %s', async (_, headers) => {
    const filled = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        value.replace('KEY', callerKey).replace('MASTER', masterKey),
      ]),
    );
    for (const path of ['/forwards/x', '/plain', '/open', `/forwards/x?key=${callerKey}`]) {
      expect((await gateway.request(path, { headers: filled })).status).toBe(200);
    }
    expect(target.requests).toHaveLength(4);
    expect(arrived()).not.toContain(masterKey);
    // An open endpoint and a query by another name are no reason either.
    expect(arrived()).not.toContain(callerKey);
  });

  it('credentials of the target itself go on, and so do headers marked with x-pass-', async () => {
    await gateway.request('/forwards/x', {
      headers: { 'x-litellm-api-key': callerKey, authorization: 'Bearer theirs', 'x-pass-x-feature': 'on' },
    });
    expect(target.last().headers).toMatchObject({ authorization: 'Bearer theirs', 'x-feature': 'on' });
  });
});

describe('an answer', () => {
  it('comes back with its status, headers and bytes, but for the connection and cookies; a redirect is not followed', async () => {
    target.behave = (_request, response) => {
      response.writeHead(307, {
        location: 'https://elsewhere.example/x',
        'x-theirs': 'kept',
        'set-cookie': 'session=1',
        'content-type': 'application/octet-stream',
      });
      response.end(Buffer.from([0, 255, 1, 254]));
    };
    const response = await gateway.request('/plain', { headers: withKey(), redirect: 'manual' });
    expect(response.status).toBe(307);
    expect(response.headers.get('location')).toBe('https://elsewhere.example/x');
    expect(response.headers.get('x-theirs')).toBe('kept');
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from([0, 255, 1, 254]));
    expect(target.requests).toHaveLength(1);
  });

  it('streams: a piece is with the client before the next one is written', async () => {
    let next: (() => void) | undefined;
    target.behave = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      next = () => response.end('data: 2\n\n');
    };
    const response = await gateway.request('/plain', { headers: withKey() });
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: 1\n\n');
    next?.();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: 2\n\n');
    expect((await reader?.read())?.done).toBe(true);
  });

  it('that breaks off ends the connection instead of looking complete', async () => {
    target.behave = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    };
    const response = await gateway.request('/plain', { headers: withKey() });
    await expect(response.text()).rejects.toThrow();
  });

  it('that does not come is 503 for a dead target and 408 for a slow one, in the envelope', async () => {
    const dead = await gateway.request('/dead', { headers: withKey() });
    expect(dead.status).toBe(503);
    expect(await dead.json()).toMatchObject({ error: { message: expect.stringContaining('connection refused') } });
    target.behave = () => undefined;
    expect((await gateway.request('/slow', { headers: withKey() })).status).toBe(408);
  });
});

describe('a body', () => {
  it('streams up: the target has its first piece before the client has sent the last', async () => {
    let pieces = '';
    let first: (() => void) | undefined;
    const heard = new Promise<void>((resolve) => {
      first = resolve;
    });
    const server = createServer((incoming, response) => {
      incoming.on('data', (piece: Buffer) => {
        pieces += piece.toString();
        first?.();
      });
      incoming.on('end', () => response.end('done'));
    });
    // The recorder reads whole bodies; this one listens on its port instead.
    const port = Number(new URL(target.origin).port);
    await target.close();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const request = httpRequest({ port: gateway.port, path: '/plain', method: 'POST', headers: withKey() });
    request.write('one ');
    await heard;
    expect(pieces).toBe('one ');
    request.end('two');
    const [response] = await once(request, 'response');
    response.resume();
    await once(response, 'end');
    expect(pieces).toBe('one two');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    target = await startRecorder(json(200, { fine: true }), port);
  });

  it('beyond the limit is refused with 413, whether it says its length or not', async () => {
    const large = Buffer.alloc(1_100_000, 'x');
    const stated = await gateway.request('/plain', { method: 'POST', headers: withKey(), body: large });
    expect(stated.status).toBe(413);
    expect(target.requests).toHaveLength(0);
    const request = httpRequest({ port: gateway.port, path: '/plain', method: 'POST', headers: withKey() });
    request.on('error', () => undefined);
    request.write(large);
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(413);
    request.destroy();
    expect(target.requests).toHaveLength(0);
  });

  it('a client that leaves takes its request from the target', async () => {
    let gone = false;
    target.behave = (_request, response) => {
      response.on('close', () => {
        gone = !response.writableFinished;
      });
    };
    const controller = new AbortController();
    const asked = gateway.request('/plain', { headers: withKey(), signal: controller.signal });
    await until(() => target.requests.length === 1);
    controller.abort();
    await expect(asked).rejects.toThrow();
    await until(() => gone);
  });
});

it('each request leaves a row: cost unknown, or the price of the endpoint, or nothing for a refusal of the target', async () => {
  const callId = `pass-${Date.now()}`;
  const ask = (path: string) => gateway.request(path, { headers: withKey({ 'x-litellm-call-id': callId }) });
  await ask('/plain');
  expect((await ask('/priced')).headers.get('x-litellm-call-id')).toBe(callId);
  target.behave = json(400, {});
  await ask('/priced');
  await ask('/dead');
  const rows = () =>
    query(
      database.url,
      `SELECT requested_model AS path, operation, status, ending, cost_micros::int AS cost FROM spend_entry
       WHERE call_id = '${callId}' ORDER BY at, id`,
    );
  await until(async () => (await rows()).length === 4);
  const of = (path: string, status: number, ending: string, cost: number | null) => ({
    path,
    operation: 'pass-through',
    status,
    ending,
    cost,
  });
  expect(await rows()).toEqual([
    of('/plain', 200, 'finished', null),
    of('/priced', 200, 'finished', 12_500),
    of('/priced', 400, 'failed', 0),
    of('/dead', 503, 'failed', 0),
  ]);
});

describe('the raw API of a provider', () => {
  const usage = { input_tokens: 2_000, cache_read_input_tokens: 8_000, output_tokens: 100 };
  const rowOf = async (callId: string) => {
    const rows = () =>
      query(
        database.url,
        `SELECT model, prompt_tokens AS prompt, completion_tokens AS completion, cached_tokens AS cached,
                cost_micros::int AS cost, usage_detail AS detail FROM spend_entry WHERE call_id = '${callId}'`,
      );
    await until(async () => (await rows()).length === 1);
    return (await rows())[0];
  };
  const ask = (callId: string, path: string) =>
    gateway.post(path, {}, { 'x-litellm-call-id': callId, 'accept-encoding': 'gzip' });

  it('has its tokens counted, and priced where the model behind it is known', async () => {
    target.behave = events(
      named(
        {
          type: 'message_start',
          message: { model: 'claude-sonnet-4-5-20250929', usage: { ...usage, output_tokens: 1 } },
        },
        { type: 'content_block_delta', delta: { text: 'Hi' } },
        { type: 'message_delta', usage: { output_tokens: 100 } },
        { type: 'message_stop' },
      ),
    );
    expect(await (await ask('raw-priced', '/anthropic/v1/messages')).text()).toContain('message_stop');
    expect(target.last().headers['accept-encoding']).toBeUndefined();
    const counted = { prompt: 10_000, completion: 100, cached: 8_000, detail: null };
    // 2,000 x 3 + 8,000 x 0.3 + 100 x 15 millionths.
    expect(await rowOf('raw-priced')).toEqual({ ...counted, model: 'claude-sonnet-4-5-20250929', cost: 9_900 });
    const { input_tokens: prompt_tokens, output_tokens: completion_tokens } = usage;
    const completion_tokens_details = { reasoning_tokens: 60 };
    target.behave = json(200, {
      model: 'gpt-4o',
      usage: { prompt_tokens, completion_tokens, completion_tokens_details },
    });
    await (await ask('raw-counted', '/openai/v1/chat/completions')).text();
    expect(await rowOf('raw-counted')).toEqual({
      model: 'gpt-4o',
      prompt: 2_000,
      completion: 100,
      cached: null,
      cost: null,
      detail: { v: 1, reasoningTokens: 60 },
    });
  });

  it.each([
    ['/anthropic/v1/messages/batches?limit=2', '/v1/messages/batches?limit=2', 'x-api-key', 'sk-ant-lent'],
    ['/openai/files', '/v1/files', 'authorization', 'Bearer sk-openai-lent'],
    ['/openai/v1/files', '/v1/files', 'authorization', 'Bearer sk-openai-lent'],
    ['/gemini/v1beta/models', '/v1beta/models', 'x-goog-api-key', 'gemini-lent'],
  ])('%s is called with the key that a deployment or the environment lends', async (path, at, header, key) => {
    const response = await gateway.request(path, {
      headers: withKey({ 'anthropic-beta': 'files', 'x-api-key': 'of the client', cookie: 'a=b' }, masterKey),
    });
    expect(response.status).toBe(200);
    const { headers } = target.last();
    expect(target.last().path).toBe(at);
    expect(headers).toMatchObject({ [header]: key, 'anthropic-beta': 'files' });
    expect(arrived()).not.toContain(masterKey);
    expect(arrived()).not.toContain('of the client');
    expect(headers.cookie).toBeUndefined();
  });

  it('takes the key from the query, as clients of Gemini write it, and does not send it on', async () => {
    const response = await gateway.request(`/gemini/v1beta/models?key=${masterKey}&pageSize=5`);
    expect(response.status).toBe(200);
    expect(target.last().path).toBe('/v1beta/models?pageSize=5');
  });

  it('is closed to keys that may not use all of its models', async () => {
    const response = await gateway.request('/anthropic/v1/models', { headers: withKey() });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { type: 'key_model_access_denied' } });
    const made = await gateway.post('/key/generate', { models: ['anthropic/*'] });
    const { key } = z.object({ key: z.string() }).parse(await made.json());
    expect((await gateway.request('/anthropic/v1/models', { headers: withKey({}, key) })).status).toBe(200);
    expect((await gateway.request('/openai/models', { headers: withKey({}, key) })).status).toBe(403);
  });

  it('whose key nobody lends is not there', async () => {
    expect((await gateway.request('/mistral/v1/models', { headers: withKey({}, masterKey) })).status).toBe(404);
  });
});
