/** Clients of the Messages API over Anthropic: nothing of their API is lost; over others, it is translated or refused by name. */
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { events, json, named, type Recorder, startRecorder } from '../support/recorder.ts';

let database: TestDatabase;
let claude: Recorder;
let chatOnly: Recorder;
let gateway: TestGateway;
let client: Anthropic;

/** An answer with members that chat completions have no words for. */
const message = {
  id: 'msg_01native',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [
    { type: 'thinking', thinking: 'Let me look.', signature: 'c2lnbmVk' },
    { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'weather' } },
    { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
    { type: 'text', text: 'Sunny.', citations: [{ type: 'char_location', cited_text: 'sun', document_index: 0 }] },
  ],
  stop_reason: 'pause_turn',
  stop_sequence: null,
  container: { id: 'container_1', expires_at: '2030-01-01T00:00:00Z' },
  usage: {
    input_tokens: 10,
    cache_creation_input_tokens: 100,
    cache_read_input_tokens: 1_000,
    cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 },
    output_tokens: 7,
    server_tool_use: { web_search_requests: 1 },
    service_tier: 'priority',
  },
};

const opening = named(
  { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
  { type: 'ping' },
);
const content = named(
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'c2ln' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} } },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"x":' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '1}' } },
  { type: 'content_block_stop', index: 1 },
);
const ending = named(
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 42 } },
  { type: 'message_stop' },
);
const overloaded = named({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });

const completion = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt',
  choices: [{ index: 0, message: { role: 'assistant', content: 'from the other vendor' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
};

beforeAll(async () => {
  database = await migratedDatabase();
  claude = await startRecorder(json(200, message));
  chatOnly = await startRecorder(json(200, completion));
  const deployment = (group: string, id: string, params: string): string =>
    `  - {model_name: ${group}, litellm_params: {${params}}, model_info: {id: ${id}}}`;
  const anthropic = `model: anthropic/claude-sonnet-4-5, api_base: "${claude.origin}", api_key: sk-ant-upstream, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001`;
  const openai = `model: openai/gpt, api_base: "${chatOnly.origin}/v1", api_key: sk-upstream`;
  gateway = await startTestGateway({
    config: `model_list:
${deployment('claude', 'claude', anthropic)}
${deployment('alone', 'alone', `${anthropic}, order: 1`)}
${deployment('gpt', 'gpt', openai)}
${deployment('mixed', 'mixed-chat', `${openai}, order: 1`)}
${deployment('mixed', 'mixed-claude', `${anthropic}, order: 2`)}
${deployment('both', 'both-claude', `${anthropic}, order: 1`)}
${deployment('both', 'both-chat', `${openai}, order: 2`)}
${deployment('falls', 'falls', `${openai}, order: 3`)}
router_settings:
  num_retries: 0
  disable_cooldowns: true
  fallbacks: [{claude: [gpt]}, {falls: [alone]}]
`,
    databaseUrl: database.url,
  });
  client = new Anthropic({ apiKey: masterKey, baseURL: gateway.url, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  await claude.close();
  await chatOnly.close();
  await database.drop();
});

beforeEach(() => {
  claude.behave = json(200, message);
  chatOnly.behave = json(200, completion);
  claude.requests.length = 0;
  chatOnly.requests.length = 0;
});

const messages = [{ role: 'user' as const, content: 'Weather?' }];
/** What chat completions have no words for. */
const rich = {
  max_tokens: 2_000,
  system: [
    { type: 'text' as const, text: 'Be short.', cache_control: { type: 'ephemeral' as const, ttl: '1h' as const } },
  ],
  messages,
  thinking: { type: 'enabled' as const, budget_tokens: 1_024 },
  metadata: { user_id: 'u-1' },
  service_tier: 'auto' as const,
  tools: [
    { type: 'web_search_20250305' as const, name: 'web_search' as const, max_uses: 2 },
    { name: 'f', input_schema: { type: 'object' as const }, cache_control: { type: 'ephemeral' as const } },
  ],
};

describe('the official Anthropic client, unmodified, over Anthropic', () => {
  it('is heard word for word: server tools, thinking, cache marks, metadata; only the model and the key are changed', async () => {
    await client.messages.create({ model: 'claude', ...rich });
    const { body, headers, path } = claude.last();
    expect(path).toBe('/v1/messages');
    expect(body).toEqual({ model: 'claude-sonnet-4-5', ...rich });
    expect(headers['x-api-key']).toBe('sk-ant-upstream');
    expect(JSON.stringify(headers)).not.toContain(masterKey);
    // The version that this client speaks, and not the gateway's own.
    expect(headers['anthropic-version']).toBe('2026-10-21');
  });

  it('gets the answer byte for byte: thinking signatures, server tools, citations, the container, the tier', async () => {
    expect(await client.messages.create({ model: 'claude', ...rich })).toMatchObject(message);
    const raw = await gateway.post('/v1/messages', { model: 'claude', ...rich });
    expect(await raw.text()).toBe(JSON.stringify(message));
    expect(raw.headers.get('x-litellm-model-id')).toBe('claude');
  });

  it('passes its beta headers on, and the gateway members of the body not', async () => {
    await client.beta.messages.create({
      model: 'claude',
      max_tokens: 10,
      messages,
      betas: ['context-1m-2025-08-07', 'files-api-2025-04-14'],
    });
    expect(claude.last().headers['anthropic-beta']).toBe('context-1m-2025-08-07,files-api-2025-04-14');
    await gateway.post('/v1/messages', {
      model: 'claude',
      max_tokens: 1,
      messages,
      num_retries: 0,
      tags: ['a'],
      metadata: { user_id: 'u', tags: ['a'] },
    });
    expect(claude.last().body).toEqual({
      model: 'claude-sonnet-4-5',
      max_tokens: 1,
      messages,
      metadata: { user_id: 'u' },
    });
  });

  it('streams natively: the bytes of the provider, whatever way they are cut', async () => {
    const whole = opening + content + ending;
    claude.behave = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < whole.length; at += 37) response.write(whole.slice(at, at + 37));
      response.end();
    };
    const raw = await gateway.post('/v1/messages', { model: 'claude', ...rich, stream: true });
    expect(await raw.text()).toBe(whole);
    const final = await client.messages.stream({ model: 'claude', ...rich }).finalMessage();
    expect(final.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
      { type: 'tool_use', id: 'toolu_1', input: { x: 1 } },
    ]);
    expect(final.stop_reason).toBe('tool_use');
  });

  it('throws the error of the provider in its own words and classes', async () => {
    claude.behave = json(400, {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'max_tokens: too many' },
    });
    await expect(client.messages.create({ model: 'alone', max_tokens: 1, messages })).rejects.toMatchObject({
      status: 400,
      error: { type: 'error', error: { type: 'invalid_request_error', message: expect.stringContaining('too many') } },
    });
  });

  it('leaves rows with the tokens of the provider, cached ones included, and their price', async () => {
    claude.behave = json(200, message);
    await client.messages.create({ model: 'alone', max_tokens: 1, messages });
    claude.behave = events(opening + content + ending);
    await client.messages.stream({ model: 'alone', max_tokens: 1, messages }).finalMessage();
    const rows = () =>
      query(
        database.url,
        `SELECT prompt_tokens, completion_tokens, cost_micros::int AS cost FROM spend_entry
         WHERE deployment_id = 'alone' AND ending = 'finished' ORDER BY at`,
      );
    await until(async () => (await rows()).length === 2);
    expect(await rows()).toEqual([
      { prompt_tokens: 1_110, completion_tokens: 7, cost: expect.any(Number) },
      { prompt_tokens: 1_110, completion_tokens: 42, cost: expect.any(Number) },
    ]);
  });
});

describe('a parameter that Anthropic does not have', () => {
  const withLogprobs = (model: string) => gateway.post('/v1/chat/completions', { model, messages, logprobs: true });

  it.each([
    ['another deployment of the group', 'both', 'both-chat'],
    ['a fallback group', 'claude', 'gpt'],
  ])('leads the request to %s that has it, without a retry', async (_, model, id) => {
    const response = await withLogprobs(model);
    expect([response.status, response.headers.get('x-litellm-model-id')]).toEqual([200, id]);
    expect(response.headers.get('x-litellm-attempted-retries')).toBe('0');
    expect(chatOnly.last().body).toMatchObject({ logprobs: true });
    expect(claude.requests).toHaveLength(0);
  });

  it('is refused by its name where nobody has it, before anybody is asked', async () => {
    const response = await withLogprobs('alone');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'logprobs', code: '400' } });
    expect(claude.requests).toHaveLength(0);
  });
});

describe('/v1/messages/count_tokens', () => {
  const countedBy = (response: Response) => response.headers.get('x-holdfast-counted-by');
  const question = { system: rich.system, messages, tools: rich.tools, thinking: rich.thinking };

  it('is answered by Anthropic where it serves the model: the client’s words, its own key', async () => {
    claude.behave = json(200, { input_tokens: 1_234 });
    expect(await client.messages.countTokens({ model: 'claude', ...question })).toEqual({ input_tokens: 1_234 });
    const { path, body, headers } = claude.last();
    expect(path).toBe('/v1/messages/count_tokens');
    expect(body).toEqual({ model: 'claude-sonnet-4-5', ...question });
    expect(headers['x-api-key']).toBe('sk-ant-upstream');
    const raw = await gateway.post('/v1/messages/count_tokens', { model: 'mixed', ...question });
    expect([countedBy(raw), await raw.json()]).toEqual(['provider', { input_tokens: 1_234 }]);
    expect(chatOnly.requests).toHaveLength(0);
  });

  it('is estimated, and says so, where no provider of the model counts', async () => {
    const raw = await gateway.post('/v1/messages/count_tokens', { model: 'gpt', messages });
    expect([raw.status, countedBy(raw)]).toEqual([200, 'estimate']);
    expect(await raw.json()).toEqual({ input_tokens: expect.closeTo(10, -1) });
    expect(chatOnly.requests).toHaveLength(0);
  });

  it.each([
    ['has no time', json(429, { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down' } })],
    ['is down', json(529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })],
    ['answers something else', json(200, { tokens: 'many' })],
  ])('is estimated when the provider %s', async (_, behaviour) => {
    claude.behave = behaviour;
    const raw = await gateway.post('/v1/messages/count_tokens', { model: 'claude', messages });
    expect([raw.status, countedBy(raw)]).toEqual([200, 'estimate']);
  });

  it('hands on what the provider says about a wrong prompt', async () => {
    claude.behave = json(400, { type: 'error', error: { type: 'invalid_request_error', message: 'messages: odd' } });
    const failure = await client.messages.countTokens({ model: 'claude', messages }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      status: 400,
      error: { type: 'error', error: { type: 'invalid_request_error', message: expect.stringContaining('odd') } },
    });
  });

  it('of a model that the key may not use is refused with 403, and nobody is asked', async () => {
    const made = await gateway.post('/key/generate', { models: ['gpt'] });
    const key = String(Reflect.get(Object(await made.json()), 'key'));
    const raw = await gateway.post(
      '/v1/messages/count_tokens',
      { model: 'claude', messages },
      { authorization: `Bearer ${key}` },
    );
    expect(raw.status).toBe(403);
    expect(claude.requests).toHaveLength(0);
  });
});

describe('a stream of Anthropic', () => {
  it.each([
    ['an error event', opening + overloaded, false],
    ['a cut connection', opening, true],
    ['an end', opening, false],
  ])('that fails before its answer begins, by %s, is answered by the fallback unseen', async (_, text, cut) => {
    claude.behave = events(text, cut);
    const message_ = await client.messages.create({ model: 'claude', max_tokens: 9, messages });
    expect(message_.content).toMatchObject([{ type: 'text', text: 'from the other vendor' }]);
  });

  it.each([
    ['an error event', opening + content + overloaded, false],
    ['a cut connection', opening + content, true],
    ['an end without message_stop', opening + content, false],
    ['an end in the middle of an event', (opening + content).slice(0, -30), false],
  ])('that fails after its answer began, by %s, ends with an error and never as a message', async (_, text, cut) => {
    claude.behave = events(text, cut);
    const raw = await gateway.post('/v1/messages', { model: 'claude', max_tokens: 9, messages, stream: true });
    const told = await raw.text();
    expect(told).not.toContain('message_stop');
    expect(told).toMatch(/event: error\ndata: \{"type":"error","error":\{.*\}\}\n\n$/);
    const stream = client.messages.stream({ model: 'claude', max_tokens: 9, messages });
    await expect(stream.finalMessage()).rejects.toThrow();
    expect(chatOnly.requests).toHaveLength(0);
  });
});

describe('over a provider of another vendor', () => {
  it('a request falls back from Anthropic to chat completions, translated', async () => {
    claude.behave = json(529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
    const answered = await client.messages.create({ model: 'claude', max_tokens: 9, messages });
    expect(answered.content).toMatchObject([{ type: 'text', text: 'from the other vendor' }]);
    expect(answered.usage).toMatchObject({ input_tokens: 3, output_tokens: 4 });
    expect(chatOnly.last().path).toBe('/v1/chat/completions');
    expect(chatOnly.last().body).toMatchObject({ model: 'gpt', max_completion_tokens: 9, messages });
  });

  it('a request that only Anthropic can serve goes to the Anthropic deployment of its group, whatever the order', async () => {
    expect(await client.messages.create({ model: 'mixed', ...rich })).toMatchObject({ id: 'msg_01native' });
    expect(chatOnly.requests).toHaveLength(0);
    await client.messages.create({ model: 'mixed', max_tokens: 9, messages });
    expect(chatOnly.requests).toHaveLength(1);
  });

  it('or to the fallback group that has one', async () => {
    expect(await client.messages.create({ model: 'falls', ...rich })).toMatchObject({ id: 'msg_01native' });
    expect(chatOnly.requests).toHaveLength(0);
  });

  it('and is refused by name where there is none', async () => {
    const failure = await client.messages.create({ model: 'gpt', ...rich }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      status: 400,
      error: { type: 'error', error: { type: 'invalid_request_error', param: 'tools[0].type' } },
    });
    expect(chatOnly.requests).toHaveLength(0);
  });

  it('reasoning of another vendor in the conversation is left out for Anthropic, which would refuse it', async () => {
    const unsigned = { type: 'thinking' as const, thinking: 'hm', signature: '' };
    const said = [
      ...messages,
      { role: 'assistant' as const, content: [unsigned, { type: 'text' as const, text: 'Sunny.' }] },
      ...messages,
    ];
    await client.messages.create({ model: 'claude', max_tokens: 9, messages: said });
    expect(claude.last().body['messages']).toEqual([
      ...messages,
      { role: 'assistant', content: [{ type: 'text', text: 'Sunny.' }] },
      ...messages,
    ]);
  });
});
