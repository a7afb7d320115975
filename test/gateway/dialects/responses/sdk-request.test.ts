/** The dialect reads what OpenAI's own client writes. */
import OpenAI, { BadRequestError } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { responsesDialect } from '../../../../gateway/dialects/responses/responses.ts';
import { blocksOf, wholeOf } from '../canonical-answers.ts';
import { DialectServer } from '../dialect-server.ts';
import { weatherAnswer } from '../weather.ts';

let server: DialectServer;
let client: OpenAI;

beforeAll(async () => {
  server = await DialectServer.start(responsesDialect);
  client = new OpenAI({ apiKey: 'sk-test', baseURL: server.url, maxRetries: 0 });
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.chats.length = 0;
});

const ask = { model: 'gpt-5', input: 'Weather in Oslo?' };
const weatherTool = {
  type: 'function' as const,
  name: 'get_weather',
  description: 'Now',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: true,
};

it('a request with tools, images and a schema arrives as a chat request', async () => {
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  await client.responses.create({
    model: 'gpt-5',
    instructions: 'Be brief.',
    input: [
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'What is this?' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' },
        ],
      },
    ],
    tools: [weatherTool],
    tool_choice: { type: 'function', name: 'get_weather' },
    parallel_tool_calls: false,
    max_output_tokens: 100,
    reasoning: { effort: 'low', summary: 'auto' },
    text: {
      format: { type: 'json_schema', name: 'shape', schema: { type: 'object' }, strict: true },
      verbosity: 'low',
    },
    include: ['reasoning.encrypted_content'],
    store: false,
    stream: false,
  });
  expect(server.chats).toEqual([
    {
      model: 'gpt-5',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          ],
        },
      ],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'Now',
            parameters: { type: 'object', properties: { city: { type: 'string' } } },
            strict: true,
          },
        },
      ],
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      parallel_tool_calls: false,
      max_completion_tokens: 100,
      reasoning_effort: 'low',
      verbosity: 'low',
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'shape', schema: { type: 'object' }, strict: true },
      },
      stream: false,
    },
  ]);
});

it('an agent turn of the client goes back with reasoning, calls and results', async () => {
  server.behind = { is: 'stream', blocks: blocksOf(weatherAnswer) };
  const first = await client.responses.stream({ ...ask, tools: [weatherTool] }).finalResponse();
  const said = first.output.flatMap((item) =>
    item.type === 'reasoning' || item.type === 'message' || item.type === 'function_call' ? [item] : [],
  );
  server.behind = { is: 'whole', reply: wholeOf(weatherAnswer) };
  await client.responses.create({
    model: 'gpt-5',
    input: [
      { role: 'user', content: 'Weather in Oslo?' },
      ...said,
      { type: 'function_call_output', call_id: 'call_0', output: '4 °C' },
      { type: 'function_call_output', call_id: 'call_1', output: [{ type: 'input_text', text: '6 °C' }] },
    ],
  });
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
    { role: 'tool', tool_call_id: 'call_1', content: '6 °C' },
  ]);
});

it('what cannot be expressed is refused by name', async () => {
  const error: unknown = await client.responses
    .create({ ...ask, previous_response_id: 'resp_1' })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error).toMatchObject({ param: 'previous_response_id', message: expect.stringContaining('conversation') });
});
