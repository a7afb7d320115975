/** Clients of the Responses API and of completions over providers that have these: nothing is lost, and answers that are kept are found again. */
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { type Behaviour, events, json, named, type Recorder, startRecorder } from '../support/recorder.ts';

let database: TestDatabase;
let first: Recorder;
let second: Recorder;
let chatOnly: Recorder;
let gateway: TestGateway;
let client: OpenAI;

const output = [
  { id: 'ws_1', type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'weather' } },
  {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [
      {
        type: 'output_text',
        text: 'Sunny.',
        annotations: [{ type: 'url_citation', url: 'https://example.com', start_index: 0, end_index: 5, title: 'w' }],
      },
    ],
  },
];

const response = (over: Readonly<Record<string, unknown>> = {}) => ({
  id: 'resp_native',
  object: 'response',
  created_at: 1,
  status: 'completed',
  error: null,
  model: 'gpt-5-2026',
  output,
  previous_response_id: null,
  store: true,
  service_tier: 'priority',
  usage: {
    input_tokens: 30,
    input_tokens_details: { cached_tokens: 10 },
    output_tokens: 12,
    output_tokens_details: { reasoning_tokens: 5 },
    total_tokens: 42,
  },
  ...over,
});

const running = response({ status: 'in_progress', output: [], usage: null });
const opening = named(
  { type: 'response.created', sequence_number: 0, response: running },
  { type: 'response.in_progress', sequence_number: 1, response: running },
);
const content = named(
  {
    type: 'response.output_item.added',
    sequence_number: 2,
    output_index: 0,
    item: { ...output[0], status: 'in_progress' },
  },
  { type: 'response.web_search_call.searching', sequence_number: 3, output_index: 0, item_id: 'ws_1' },
  { type: 'response.output_item.done', sequence_number: 4, output_index: 0, item: output[0] },
  { type: 'response.output_item.added', sequence_number: 5, output_index: 1, item: { ...output[1], content: [] } },
  {
    type: 'response.content_part.added',
    sequence_number: 6,
    output_index: 1,
    content_index: 0,
    item_id: 'msg_1',
    part: { type: 'output_text', text: '', annotations: [] },
  },
  {
    type: 'response.output_text.delta',
    sequence_number: 7,
    output_index: 1,
    content_index: 0,
    item_id: 'msg_1',
    // Text that looks like the events which are read.
    delta: 'Sunny. "response.completed" {"type":"error"}',
  },
  { type: 'response.output_item.done', sequence_number: 8, output_index: 1, item: output[1] },
);
const ending = named({ type: 'response.completed', sequence_number: 9, response: response() });
const failed = named({
  type: 'response.failed',
  sequence_number: 9,
  response: response({ status: 'failed', error: { code: 'server_error', message: 'The server had an error' } }),
});
const errorEvent = named({ type: 'error', sequence_number: 2, code: 'server_error', message: 'Broken', param: null });

const chat = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt',
  choices: [{ index: 0, message: { role: 'assistant', content: 'from chat' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
};

/** A provider that keeps its answers: an id is known where it was made. */
function keeping(name: string): Behaviour {
  const made = new Set<string>();
  return (request, reply) => {
    const id = /\/responses\/([^/?]+)/.exec(request.path)?.[1];
    if (request.method === 'POST' && id === undefined) {
      const previous = request.body['previous_response_id'] ?? null;
      if (typeof previous === 'string' && !made.has(previous)) {
        json(400, { error: { message: `${previous} not found`, code: 'previous_response_not_found' } })(request, reply);
        return;
      }
      const own = `resp_${name}_${made.size}`;
      made.add(own);
      json(200, response({ id: own, previous_response_id: previous }))(request, reply);
    } else if (id === undefined || !made.has(id)) {
      json(404, { error: { message: 'no such response', type: 'invalid_request_error' } })(request, reply);
    } else if (request.method === 'DELETE') {
      made.delete(id);
      json(200, { id, object: 'response', deleted: true })(request, reply);
    } else if (request.path.endsWith('/cancel')) {
      json(200, response({ id, status: 'cancelled' }))(request, reply);
    } else if (request.path.includes('/input_items')) {
      json(200, { object: 'list', data: [], has_more: false, first_id: null, last_id: null })(request, reply);
    } else json(200, response({ id }))(request, reply);
  };
}

beforeAll(async () => {
  database = await migratedDatabase();
  first = await startRecorder(keeping('first'));
  second = await startRecorder(keeping('second'));
  chatOnly = await startRecorder(json(200, chat));
  const deployment = (group: string, id: string, params: string): string =>
    `  - {model_name: ${group}, litellm_params: {${params}}, model_info: {id: ${id}}}`;
  const native = (recorder: Recorder): string =>
    `model: openai/gpt-5, api_base: "${recorder.origin}/v1", api_key: sk-upstream, use_responses_api: true`;
  const compatible = `model: openai/gpt, api_base: "${chatOnly.origin}/v1", api_key: sk-upstream`;
  gateway = await startTestGateway({
    config: `model_list:
${deployment('native', 'native', native(first))}
${deployment('two', 'one-of-two', native(first))}
${deployment('two', 'two-of-two', native(second))}
${deployment('chat', 'chat', compatible)}
${deployment('azure', 'azure', `model: azure/my-deployment, api_base: "${first.origin}", api_key: azure-key, api_version: 2025-04-01-preview`)}
${deployment('old-azure', 'old-azure', `model: azure/my-deployment, api_base: "${chatOnly.origin}", api_key: azure-key, api_version: 2024-10-21`)}
${deployment('vllm', 'vllm', `model: hosted_vllm/base-model, api_base: "${first.origin}/v1"`)}
${deployment('instruct', 'instruct', `model: text-completion-openai/gpt-3.5-turbo-instruct, api_base: "${first.origin}/v1", api_key: sk-upstream`)}
router_settings:
  num_retries: 0
  disable_cooldowns: true
  fallbacks: [{native: [chat]}]
`,
    databaseUrl: database.url,
  });
  client = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  for (const upstream of [first, second, chatOnly]) await upstream.close();
  await database.drop();
});

beforeEach(() => {
  first.behave = keeping('first');
  second.behave = keeping('second');
  for (const upstream of [first, second, chatOnly]) upstream.requests.length = 0;
});

const rich = {
  input: 'Weather?',
  tools: [{ type: 'web_search' as const }, { type: 'code_interpreter' as const, container: { type: 'auto' as const } }],
  store: true,
  truncation: 'auto' as const,
  include: ['web_search_call.action.sources' as const],
  service_tier: 'priority' as const,
  metadata: { trace: 't-1' },
};

describe('the official OpenAI client, unmodified, on the Responses API over OpenAI', () => {
  it('is heard word for word, hosted tools included, and gets the answer as it is', async () => {
    const answered = await client.responses.create({ model: 'native', ...rich });
    expect(first.last().path).toBe('/v1/responses');
    expect(first.last().body).toEqual({ model: 'gpt-5', ...rich });
    expect(first.last().headers.authorization).toBe('Bearer sk-upstream');
    const { id, ...rest } = response();
    expect(answered).toMatchObject(rest);
    expect(answered.id).toMatch(/^resp_[\w-]+$/);
    expect(answered.id).not.toBe(id);
    expect(answered.output_text).toBe('Sunny.');
  });

  it('streams natively to the end; but for the ids of the Response, these are the bytes of the provider', async () => {
    first.behave = events(opening + content + ending);
    const raw = await gateway.post('/v1/responses', { model: 'native', ...rich, stream: true });
    const told = await raw.text();
    expect(told).toContain(content);
    expect(told.replaceAll(/resp_hf1[\w-]+/g, 'resp_native')).toBe(opening + content + ending);
    const final = await client.responses.stream({ model: 'native', ...rich }).finalResponse();
    expect(final.output).toMatchObject(output);
    expect(final.usage?.output_tokens).toBe(12);
  });

  it('leaves a row with the tokens of the provider for a whole answer and for a stream', async () => {
    first.behave = json(200, response());
    await client.responses.create({ model: 'azure', input: 'x' });
    first.behave = events(opening + content + ending);
    await client.responses.stream({ model: 'azure', input: 'x' }).finalResponse();
    const rows = () =>
      query(
        database.url,
        `SELECT prompt_tokens, completion_tokens FROM spend_entry WHERE requested_model = 'azure' AND ending = 'finished'`,
      );
    await until(async () => (await rows()).length === 2);
    expect(await rows()).toEqual(Array.from({ length: 2 }, () => ({ prompt_tokens: 30, completion_tokens: 12 })));
    expect(first.last().path).toBe('/openai/responses?api-version=2025-04-01-preview');
    expect(first.last().body['model']).toBe('my-deployment');
  });
});

describe('a stream of the Responses API', () => {
  it.each([
    ['response.failed', opening + failed, false],
    ['an error event', opening + errorEvent, false],
    ['a cut connection', opening, true],
  ])('that fails before its answer begins, by %s, is answered by the fallback unseen', async (_, text, cut) => {
    first.behave = events(text, cut);
    chatOnly.behave = events(
      'data: {"id":"c","choices":[{"index":0,"delta":{"content":"from chat"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    );
    const final = await client.responses.stream({ model: 'native', input: 'x' }).finalResponse();
    expect(final.output_text).toBe('from chat');
    chatOnly.behave = json(200, chat);
  });

  it.each([
    ['response.failed', opening + content + failed, false],
    ['an error event', opening + content + errorEvent, false],
    ['a cut connection', opening + content, true],
    ['an end without response.completed', opening + content, false],
  ])(
    'that fails after its answer began, by %s, ends with an error event and never as complete (#36768)',
    async (_, text, cut) => {
      first.behave = events(text, cut);
      const raw = await gateway.post('/v1/responses', { model: 'native', input: 'x', stream: true });
      const told = await raw.text();
      expect(told).not.toContain('event: response.completed');
      expect(told).toMatch(/event: error\ndata: .*\n\n$/);
      await expect(client.responses.stream({ model: 'native', input: 'x' }).finalResponse()).rejects.toThrow();
    },
  );
});

describe('an answer that the provider keeps', () => {
  it('is continued at the deployment that made it, however many share the model', async () => {
    for (let round = 0; round < 12; round++) {
      const made = await client.responses.create({ model: 'two', input: 'Hello' });
      const next = await client.responses.create({ model: 'two', input: 'More', previous_response_id: made.id });
      expect(next.previous_response_id).toBe(made.id);
    }
    expect(first.requests.length).toBeGreaterThan(0);
    expect(second.requests.length).toBeGreaterThan(0);
    expect(first.requests.length % 2).toBe(0);
  });

  it('is continued also from a stream', async () => {
    const keeps = keeping('first');
    first.behave = events(opening + content + ending);
    second.behave = events(opening + content + ending);
    const made = await client.responses.stream({ model: 'two', input: 'Hello' }).finalResponse();
    const maker = first.requests.length > 0 ? first : second;
    maker.behave = (request, reply) =>
      request.body['previous_response_id'] === 'resp_native'
        ? json(200, response())(request, reply)
        : keeps(request, reply);
    await client.responses.create({ model: 'two', input: 'More', previous_response_id: made.id });
    expect(maker.requests).toHaveLength(2);
  });

  it('can be read, listed, cancelled and deleted by its id', async () => {
    const made = await client.responses.create({ model: 'two', input: 'Hello' });
    expect((await client.responses.retrieve(made.id)).id).toBe(made.id);
    expect((await client.responses.cancel(made.id)).status).toBe('cancelled');
    const items = await gateway.request(`/v1/responses/${made.id}/input_items?limit=5`, {
      headers: { authorization: `Bearer ${masterKey}` },
    });
    expect(items.status).toBe(200);
    expect([...first.requests, ...second.requests].at(-1)?.path).toMatch(
      /^\/v1\/responses\/resp_\w+\/input_items\?limit=5$/,
    );
    await client.responses.delete(made.id);
    await expect(client.responses.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
  });

  it('is not found by a key that may not use its model, nor under an id that was not made here', async () => {
    const made = await client.responses.create({ model: 'two', input: 'Hello' });
    const generated = await gateway.post('/key/generate', { models: ['chat'] });
    const { key } = z.object({ key: z.string() }).parse(await generated.json());
    const stranger = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    await expect(stranger.responses.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
    await expect(stranger.responses.delete(made.id)).rejects.toMatchObject({ status: 404 });
    await expect(client.responses.retrieve('resp_elsewhere')).rejects.toMatchObject({ status: 404 });
  });

  it('whose deployment is not in the group is refused by name instead of continued by somebody else', async () => {
    const made = await client.responses.create({ model: 'two', input: 'Hello' });
    await expect(
      client.responses.create({ model: 'native', input: 'More', previous_response_id: made.id }),
    ).rejects.toMatchObject({ status: 400, param: 'previous_response_id' });
  });
});

describe('over a server that only chats', () => {
  it.each(['chat', 'old-azure'])(
    '%s: the request is translated, and hosted tools are refused by name',
    async (model) => {
      expect((await client.responses.create({ model, input: 'Hi' })).output_text).toBe('from chat');
      await expect(client.responses.create({ model, ...rich })).rejects.toMatchObject({ status: 400 });
      expect(chatOnly.requests).toHaveLength(1);
    },
  );

  it('reasoning that the gateway packed there is left out at OpenAI, which could not read it', async () => {
    const packed = { type: 'reasoning' as const, id: 'rs_1', summary: [], encrypted_content: 'holdfast.1.e30' };
    const said = { role: 'user' as const, content: 'Hi' };
    await client.responses.create({ model: 'native', input: [packed, said], store: false });
    expect(first.last().body['input']).toEqual([said]);
  });
});

describe('legacy completions at a server that has them', () => {
  const completion = {
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1,
    model: 'base-model',
    choices: [{ index: 0, text: 'Once upon a time', logprobs: { tokens: ['Once'] }, finish_reason: 'length' }],
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
  };
  const asked = { prompt: ['Once', 'Twice'], echo: true, logprobs: 2, suffix: '.', best_of: 3, max_tokens: 5 };

  it.each([
    ['vllm', 'base-model'],
    ['instruct', 'gpt-3.5-turbo-instruct'],
  ])('%s: echo, logprobs, suffix, best_of and several prompts arrive', async (model, name) => {
    first.behave = json(200, completion);
    expect(await client.completions.create({ model, ...asked })).toMatchObject(completion);
    expect(first.last().path).toBe('/v1/completions');
    expect(first.last().body).toEqual({ model: name, ...asked });
  });

  it('stream to their end', async () => {
    first.behave = events(
      'data: {"id":"cmpl-1","choices":[{"index":0,"text":"Once","finish_reason":"length"}]}\n\ndata: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\ndata: [DONE]\n\n',
    );
    let text = '';
    for await (const chunk of await client.completions.create({ model: 'vllm', prompt: 'x', stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe('Once');
  });

  it('a model that only completes is not asked to chat', async () => {
    await expect(
      client.chat.completions.create({ model: 'instruct', messages: [{ role: 'user', content: 'Hi' }] }),
    ).rejects.toMatchObject({ status: 400, message: expect.stringContaining('/v1/completions') });
  });
});
