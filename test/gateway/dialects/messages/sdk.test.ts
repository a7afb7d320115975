/** Anthropic's own client reads what the dialect writes, and the dialect reads what that client writes. */
import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
  UnprocessableEntityError,
} from '@anthropic-ai/sdk';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { messagesDialect } from '../../../../gateway/dialects/messages/messages.ts';
import { answers, blocksOf, eventsOf, upstreamGone, wholeOf } from '../canonical-answers.ts';
import { DialectServer } from '../dialect-server.ts';
import { weatherAnswer } from '../weather.ts';

let server: DialectServer;
let client: Anthropic;

beforeAll(async () => {
  server = await DialectServer.start(messagesDialect);
  client = new Anthropic({ apiKey: 'sk-test', baseURL: server.url, maxRetries: 0 });
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.bodies.length = 0;
  server.chats.length = 0;
});

const ask = { model: 'gpt-5', max_tokens: 100, messages: [{ role: 'user' as const, content: 'Weather in Oslo?' }] };

it('a whole answer with reasoning, text and calls is a Message', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  const message = await client.messages.create(ask);
  expect(message.content).toEqual([
    { type: 'thinking', thinking: 'Two cities, two calls.', signature: 'c2ln' },
    { type: 'text', text: 'Let me look.', citations: null },
    { type: 'tool_use', id: 'call_0', name: 'get_weather', input: { city: 'Oslo' }, caller: { type: 'direct' } },
    { type: 'tool_use', id: 'call_1', name: 'get_weather', input: { city: 'Bergen' }, caller: { type: 'direct' } },
  ]);
  expect(message.stop_reason).toBe('tool_use');
  expect(message.usage).toMatchObject({ input_tokens: 20, cache_read_input_tokens: 10, output_tokens: 40 });
  expect(message.usage.output_tokens_details).toEqual({ thinking_tokens: 8 });
});

it('a stream ends as the same Message', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  const whole = await client.messages.create(ask);
  server.behind = { is: 'stream', blocks: blocksOf(weatherAnswer) };
  const stream = client.messages.stream(ask);
  const types: string[] = [];
  stream.on('streamEvent', (event) => types.push(event.type));
  const { parsed_output: _, ...streamed } = await stream.finalMessage();
  expect(streamed).toEqual(whole);
  expect(types.filter((type) => !type.endsWith('delta'))).toEqual([
    'message_start',
    ...Array.from({ length: 4 }, () => ['content_block_start', 'content_block_stop']).flat(),
    'message_stop',
  ]);
  expect(server.chats.at(-1)).toMatchObject({ stream: true, stream_options: { include_usage: true } });
});

it('any answer, cut anywhere, is the same Message streamed and whole', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      server.behind = { is: 'whole', reply: wholeOf(answer) };
      const whole = await client.messages.create(ask);
      server.behind = { is: 'stream', blocks: blocksOf(answer) };
      const { parsed_output: _, ...streamed } = await client.messages.stream(ask).finalMessage();
      expect(JSON.parse(JSON.stringify(streamed))).toEqual(JSON.parse(JSON.stringify(whole)));
    }),
    { numRuns: 150 },
  );
});

it('no stream that breaks before its end looks complete', async () => {
  await fc.assert(
    fc.asyncProperty(answers, fc.nat(), async (answer, cut) => {
      const events = eventsOf(answer);
      const blocks = events.slice(0, cut % events.length);
      server.behind = { is: 'stream', blocks, broken: upstreamGone };
      const stream = client.messages.stream(ask);
      const types: string[] = [];
      stream.on('streamEvent', (event) => types.push(event.type));
      await expect(stream.finalMessage()).rejects.toThrow('the stream ended before its answer did');
      expect(types).not.toContain('message_delta');
      expect(types).not.toContain('message_stop');
    }),
    { numRuns: 150 },
  );
});

it('the failure of a stream carries its type', async () => {
  server.behind = { is: 'stream', blocks: [], broken: { ...upstreamGone, code: '429', message: 'slow down' } };
  const error: unknown = await client.messages
    .stream(ask)
    .finalMessage()
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({ type: 'rate_limit_error', apiMessage: 'slow down' });
});

it.each([
  [400, BadRequestError, 'invalid_request_error'],
  [401, AuthenticationError, 'authentication_error'],
  [403, PermissionDeniedError, 'permission_error'],
  [404, NotFoundError, 'not_found_error'],
  [422, UnprocessableEntityError, 'invalid_request_error'],
  [429, RateLimitError, 'rate_limit_error'],
  [500, InternalServerError, 'api_error'],
  [503, APIError, 'overloaded_error'],
])('status %i is the error that the client knows', async (status, kind, type) => {
  server.behind = {
    is: 'error',
    status,
    envelope: { message: 'budget is spent', type: 'budget_exceeded', param: null, code: String(status) },
  };
  const error: unknown = await client.messages.create(ask).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(kind);
  expect(error).toMatchObject({ status, type, apiMessage: 'budget is spent' });
});

it('a request with tools, images and a schema arrives as a chat request', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  await client.messages.create({
    ...ask,
    system: 'Be brief.',
    metadata: { user_id: 'u-1' },
    stop_sequences: ['END'],
    tools: [{ name: 'get_weather', description: 'Now', input_schema: { type: 'object', properties: { city: {} } } }],
    tool_choice: { type: 'any', disable_parallel_tool_use: true },
    output_config: { effort: 'high', format: { type: 'json_schema', schema: { type: 'object' } } },
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ],
      },
    ],
  });
  expect(server.chats).toEqual([
    {
      model: 'gpt-5',
      max_completion_tokens: 100,
      user: 'u-1',
      stop: ['END'],
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
      ],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'Now',
            parameters: { type: 'object', properties: { city: {} } },
          },
        },
      ],
      tool_choice: 'required',
      parallel_tool_calls: false,
      reasoning_effort: 'high',
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'output', schema: { type: 'object' }, strict: true },
      },
    },
  ]);
});

it('an agent turn of the client goes back with reasoning, calls and results', async () => {
  server.behind = { is: 'stream', blocks: blocksOf(weatherAnswer) };
  const first = await client.messages.stream(ask).finalMessage();
  await client.messages
    .stream({
      ...ask,
      messages: [
        ...ask.messages,
        { role: 'assistant', content: first.content },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'call_0', content: '4 °C' },
            { type: 'tool_result', tool_use_id: 'call_1', content: 'no such city', is_error: true },
          ],
        },
      ],
    })
    .finalMessage();
  expect(server.chats.at(-1)?.['messages']).toEqual([
    { role: 'user', content: 'Weather in Oslo?' },
    {
      role: 'assistant',
      content: 'Let me look.',
      reasoning_content: 'Two cities, two calls.',
      thinking_blocks: [{ type: 'thinking', thinking: 'Two cities, two calls.', signature: 'c2ln' }],
      tool_calls: [
        { id: 'call_0', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
        { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bergen"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_0', content: '4 °C' },
    { role: 'tool', tool_call_id: 'call_1', content: 'Error: no such city' },
  ]);
});

it('what cannot be expressed is refused by name', async () => {
  const error: unknown = await client.messages
    .create({ ...ask, tools: [{ type: 'web_search_20250305', name: 'web_search' }] })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error).toMatchObject({ status: 400, type: 'invalid_request_error' });
  expect(error).toHaveProperty('error.error.param', 'tools[0].type');
});
