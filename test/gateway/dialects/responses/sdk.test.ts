/** OpenAI's own client reads what the dialect writes. */
import * as fc from 'fast-check';
import OpenAI, { APIError, RateLimitError } from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { responsesDialect } from '../../../../gateway/dialects/responses/responses.ts';
import { answers, blocksOf, eventsOf, upstreamGone, wholeOf } from '../canonical-answers.ts';
import { DialectServer } from '../dialect-server.ts';
import { weatherAnswer } from '../weather.ts';

let server: DialectServer;
let client: OpenAI;

beforeAll(async () => {
  server = await DialectServer.start(responsesDialect);
  client = new OpenAI({ apiKey: 'sk-test', baseURL: server.url, maxRetries: 0 });
});
afterAll(() => server[Symbol.asyncDispose]());

const ask = { model: 'gpt-5', input: 'Weather in Oslo?' };
/** What a stream and a whole reply share: everything but the client's own additions. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, member: unknown) =>
      key === 'parsed' || key === 'output_parsed' || key === 'parsed_arguments' || key.startsWith('_')
        ? undefined
        : member,
    ),
  );

it('a whole answer with reasoning, text and calls is a Response', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  const response = await client.responses.create(ask);
  expect(response).toMatchObject({ status: 'completed', model: 'gpt-5', output_text: 'Let me look.', store: false });
  expect(response.output).toMatchObject([
    { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Two cities, two calls.' }] },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Let me look.' }] },
    { type: 'function_call', call_id: 'call_0', name: 'get_weather', arguments: '{"city":"Oslo"}' },
    { type: 'function_call', call_id: 'call_1', name: 'get_weather', arguments: '{"city":"Bergen"}' },
  ]);
  expect(response.usage).toEqual({
    input_tokens: 30,
    input_tokens_details: { cached_tokens: 10, cache_write_tokens: 0 },
    output_tokens: 40,
    output_tokens_details: { reasoning_tokens: 8 },
    total_tokens: 70,
  });
});

it('a stream ends as the same Response, its events numbered and in order', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  const whole = await client.responses.create(ask);
  server.behind = { is: 'stream', blocks: blocksOf(weatherAnswer) };
  const events: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.create({ ...ask, stream: true })) events.push(event);
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  const [last] = events.slice(-1);
  expect(last?.type).toBe('response.completed');
  expect(plain(last !== undefined && 'response' in last ? last.response : undefined)).toEqual(
    plain({ ...whole, output_text: undefined }),
  );
  expect(events.map(({ type }) => type).filter((type) => !type.endsWith('delta'))).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.reasoning_summary_part.added',
    'response.reasoning_summary_text.done',
    'response.reasoning_summary_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
  ]);
});

it('any answer, cut anywhere, is the same Response streamed and whole', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      server.behind = { is: 'whole', reply: wholeOf(answer) };
      const whole = await client.responses.create(ask);
      server.behind = { is: 'stream', blocks: blocksOf(answer) };
      const streamed = await client.responses.stream(ask).finalResponse();
      expect(plain(streamed)).toEqual(plain(whole));
    }),
    { numRuns: 150 },
  );
});

it('what the client puts together from the pieces is what the last event says', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      server.behind = { is: 'stream', blocks: blocksOf(answer) };
      let [text, reasoning] = ['', ''];
      const calls = new Map<number, string>();
      const stream = client.responses.stream(ask);
      for await (const event of stream) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        if (event.type === 'response.reasoning_summary_text.delta') reasoning += event.delta;
        if (event.type === 'response.function_call_arguments.delta') {
          calls.set(event.output_index, (calls.get(event.output_index) ?? '') + event.delta);
        }
      }
      expect(text).toBe(answer.text.join(''));
      expect(reasoning).toBe(answer.reasoning.join(''));
      expect([...calls.values()]).toEqual(answer.calls.map(({ pieces }) => pieces.join('')));
    }),
    { numRuns: 100 },
  );
});

it('no stream that breaks before its end looks complete', async () => {
  await fc.assert(
    fc.asyncProperty(answers, fc.nat(), async (answer, cut) => {
      const events = eventsOf(answer);
      server.behind = { is: 'stream', blocks: events.slice(0, cut % events.length), broken: upstreamGone };
      const stream = client.responses.stream(ask);
      const types: string[] = [];
      stream.on('event', (event) => types.push(event.type));
      await expect(stream.finalResponse()).rejects.toThrow('the stream ended before its answer did');
      expect(types).not.toContain('response.completed');
      expect(types).not.toContain('response.incomplete');
    }),
    { numRuns: 150 },
  );
});

it('a broken stream says so twice: as an error and as a failed Response', async () => {
  const encoder = responsesDialect.encoder({});
  for (const block of eventsOf(weatherAnswer).slice(0, 5)) encoder.push(Buffer.from(block));
  const told = encoder.broken(upstreamGone).toString();
  expect([...told.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual(['error', 'response.failed']);
  expect(told).toContain('"status":"failed"');
  expect(told).toContain('"code":"server_error"');
  expect(told).toContain(`"error":${JSON.stringify(upstreamGone)}`);
  expect(told).toContain(`"message":${JSON.stringify(upstreamGone.message)},"param":null`);
  expect(encoder.end().length).toBe(0);
});

it('errors are those that the client knows', async () => {
  const envelope = { message: 'slow down', type: 'rate_limit_error', param: null, code: '429' };
  server.behind = { is: 'error', status: 429, envelope };
  const error: unknown = await client.responses.create(ask).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RateLimitError);
  expect(error).toMatchObject({ status: 429, code: '429', type: 'rate_limit_error', message: '429 slow down' });
  server.behind = { is: 'stream', blocks: eventsOf(weatherAnswer).slice(0, 3), broken: envelope };
  const broken: unknown = await client.responses
    .stream(ask)
    .finalResponse()
    .catch((thrown: unknown) => thrown);
  expect(broken).toBeInstanceOf(APIError);
  expect(broken).toMatchObject({ code: '429', message: 'slow down' });
});
