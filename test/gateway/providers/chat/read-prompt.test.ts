import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { readPrompt, wantsUsage } from '../../../../gateway/providers/chat/read-prompt.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';

const read = (body: JsonObject) => readPrompt({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }], ...body });
const messages = (...list: readonly JsonObject[]) => read({ messages: list });
const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };

describe('messages', () => {
  it('text may be text or parts, a refusal is what the assistant said', () => {
    const prompt = messages(
      { role: 'user', content: ['a', { type: 'text', text: 'b' }] },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'c' },
          { type: 'refusal', refusal: 'd' },
        ],
      },
      { role: 'assistant', content: null, refusal: 'e' },
    );
    expect(prompt.turns.map(({ parts }) => parts.map((part) => (part.is === 'text' ? part.text : part.is)))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e'],
    ]);
  });

  it('the name of a function is found by the id of its call, else taken from the message', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: { already: 'parsed' } } };
    const prompt = messages(
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'a', content: 'x', name: 'other' },
      { role: 'tool', tool_call_id: 'b', content: 'x', name: 'other' },
    );
    expect(prompt.turns).toMatchObject([
      { calls: [{ name: 'f', input: { already: 'parsed' } }] },
      { name: 'f' },
      { name: 'other' },
    ]);
  });

  it('cache_control of a message belongs to its last part', () => {
    const mark = { type: 'ephemeral' };
    const prompt = messages(
      { role: 'user', content: ['a', 'b'], cache_control: mark },
      { role: 'user', content: [], cache_control: mark },
    );
    expect(prompt.turns).toMatchObject([
      { parts: [{ cacheControl: undefined }, { cacheControl: mark }] },
      { parts: [] },
    ]);
  });

  it.each<[string, JsonObject]>([
    ['messages[0].content[0].type', { role: 'system', content: [image] }],
    ['messages[0].content[0].type', { role: 'assistant', content: [image] }],
    ['messages[0].content[0].text', { role: 'user', content: [{ type: 'text', text: 1 }] }],
    ['messages[0].content[0]', { role: 'user', content: [7] }],
    ['messages[0].content[0].input_audio.data', { role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }],
    ['messages[0].content[0].file', { role: 'user', content: [{ type: 'file', file: {} }] }],
    [
      'messages[0].content[0].file.file_data',
      { role: 'user', content: [{ type: 'file', file: { file_data: 'raw' } }] },
    ],
    ['messages[0].tool_calls', { role: 'assistant', tool_calls: {} }],
    ['messages[0].tool_calls[0].function.name', { role: 'assistant', tool_calls: [{ id: 'a' }] }],
    [
      'messages[0].tool_calls[0].function.arguments',
      { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '[1]' } }] },
    ],
  ])('%s is refused by name', (param, message) => {
    expectRefusal(() => messages(message), param);
  });
});

describe('media', () => {
  it.each([
    ['data:image/png;base64,AAAA', { is: 'data', mediaType: 'image/png', base64: 'AAAA' }],
    ['DATA:Image/PNG;charset=x; BASE64,AAAA', { is: 'data', mediaType: 'image/png', base64: 'AAAA' }],
    ['data:;base64,AAAA', { is: 'data', mediaType: 'text/plain', base64: 'AAAA' }],
    ['https://example.com/a,b;base64', { is: 'url', url: 'https://example.com/a,b;base64' }],
    ['s3://bucket/key', { is: 'url', url: 's3://bucket/key' }],
  ])('%s', (url, source) => {
    expect(messages({ role: 'user', content: [{ type: 'image_url', image_url: url }] }).turns).toMatchObject([
      { parts: [{ source }] },
    ]);
  });
});

describe('parameters', () => {
  it('null means that nothing is asked for', () => {
    const nothing = Object.fromEntries(
      [
        'tools',
        'tool_choice',
        'stop',
        'response_format',
        'reasoning_effort',
        'temperature',
        'max_tokens',
        'parallel_tool_calls',
      ].map((name) => [name, null]),
    );
    expect(read(nothing)).toEqual(read({}));
  });

  it('response_format of LiteLLM with a schema, and any as required', () => {
    const schema = { type: 'object' };
    expect(read({ response_format: { type: 'json_object', response_schema: schema } }).format).toMatchObject({
      is: 'schema',
      schema,
    });
    expect(read({ tool_choice: 'any' }).toolChoice).toEqual({ is: 'required' });
  });

  it.each<[string, JsonObject]>([
    ['tools[0]', { tools: ['x'] }],
    ['tools[0].function', { tools: [{ type: 'function' }] }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: {} }] }],
    ['response_format.json_schema.schema', { response_format: { type: 'json_schema', json_schema: { name: 'x' } } }],
    ['max_completion_tokens', { max_completion_tokens: 1.5 }],
    ['top_p', { top_p: Number.NaN }],
  ])('%s is refused by name', (param, body) => {
    expectRefusal(() => read(body), param);
  });

  it('members of OpenAI and of the gateway are not the own ones of a provider', () => {
    expect(
      read({ seed: 1, store: true, num_retries: 2, mock_response: 'x', safety_settings: [], empty: null }).own,
    ).toEqual({ safety_settings: [] });
  });

  it('token counts are for the client only if it asks for them', () => {
    expect(wantsUsage({ stream_options: { include_usage: true } })).toBe(true);
    expect(wantsUsage({ stream_options: { include_usage: 'yes' } })).toBe(false);
    expect(wantsUsage({})).toBe(false);
  });
});
