import { describe, expect, it } from 'vitest';
import { exampleRequest } from '../../examples.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { adapter, deployment, deploymentOf, sent, user } from './example.ts';

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};
const call = (id: string, args = '{"city":"Paris"}') => ({
  id,
  type: 'function',
  function: { name: 'get_weather', arguments: args },
});

describe('the address', () => {
  it.each([
    ['', '/v1/messages'],
    ['/v1', '/v1/messages'],
    ['/proxy', '/proxy/v1/messages'],
    ['/proxy/v1/messages', '/proxy/v1/messages'],
  ])('api_base with the path %j means %s', (basePath, path) => {
    expect(adapter.toUpstream(exampleRequest(), deploymentOf('claude-sonnet-4-5', { basePath })).path).toBe(path);
  });

  it('a version of the API that the deployment states wins', () => {
    const headers = { 'x-api-key': 'k', 'anthropic-version': '2030-01-01' };
    expect(adapter.toUpstream(exampleRequest(), deploymentOf('c', { headers })).headers).toMatchObject(headers);
    expect(adapter.toUpstream(exampleRequest(), deployment).headers['anthropic-version']).toBe('2023-06-01');
  });

  it('embeddings are refused by name', () => {
    expectRefusal(
      () => adapter.toUpstream(exampleRequest(undefined, { operation: 'embeddings' }), deployment),
      'embeddings',
    );
  });
});

describe('messages', () => {
  it('system and developer messages become the system prompt, wherever they stand', () => {
    const body = sent({
      messages: [
        { role: 'system', content: 'Be brief.' },
        user('Hi'),
        { role: 'developer', content: [{ type: 'text', text: 'In French.', cache_control: { type: 'ephemeral' } }] },
      ],
    });
    expect(body['system']).toEqual([
      { type: 'text', text: 'Be brief.' },
      { type: 'text', text: 'In French.', cache_control: { type: 'ephemeral' } },
    ]);
    expect(body['messages']).toEqual([{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }]);
  });

  it('instructions without a question are the question', () => {
    const body = sent({ messages: [{ role: 'system', content: 'Write a poem.' }] });
    expect(body['messages']).toEqual([{ role: 'user', content: [{ type: 'text', text: 'Write a poem.' }] }]);
    expect(body).not.toHaveProperty('system');
  });

  it('results of tools and what the user says next are one message, results first', () => {
    const body = sent({
      tools: [weather],
      messages: [
        user('Weather?'),
        { role: 'assistant', content: null, tool_calls: [call('toolu_1'), call('toolu_2', '')] },
        { role: 'tool', tool_call_id: 'toolu_1', content: 'Sunny' },
        { role: 'tool', tool_call_id: 'toolu_2', content: [{ type: 'text', text: 'Rain' }] },
        user('And now?'),
      ],
    });
    expect(body['messages']).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } },
          { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'Sunny' }] },
          { type: 'tool_result', tool_use_id: 'toolu_2', content: [{ type: 'text', text: 'Rain' }] },
          { type: 'text', text: 'And now?' },
        ],
      },
    ]);
  });

  it('ids of another provider are replaced, the same for the call and its result', () => {
    const id = 'call_1__thought__a+b/c==';
    const body = sent({
      tools: [weather],
      messages: [
        user('?'),
        { role: 'assistant', tool_calls: [call(id)] },
        { role: 'tool', tool_call_id: id, content: 'x' },
      ],
    });
    const text = JSON.stringify(body['messages']);
    const ids = [...text.matchAll(/"(?:id|tool_use_id)":"([^"]+)"/g)].map(([, found]) => found);
    expect(ids[0]).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    expect(new Set(ids).size).toBe(1);
  });

  it('thoughts come back before what was said, signatures unchanged; unsigned ones stay away', () => {
    const body = sent({
      messages: [
        user('?'),
        {
          role: 'assistant',
          content: 'Because.',
          thinking_blocks: [
            { type: 'thinking', thinking: 'Hm', signature: 'sig==' },
            { type: 'redacted_thinking', data: 'xyz' },
            { type: 'thinking', thinking: 'of another provider' },
          ],
        },
        user('Why?'),
      ],
    });
    expect(body['messages']).toMatchObject([
      {},
      {
        content: [
          { type: 'thinking', thinking: 'Hm', signature: 'sig==' },
          { type: 'redacted_thinking', data: 'xyz' },
          { type: 'text', text: 'Because.' },
        ],
      },
      {},
    ]);
  });

  it('an answer to be continued has no white space at its end, and empty text is left out', () => {
    const body = sent({
      messages: [
        user([
          { type: 'text', text: '' },
          { type: 'text', text: 'Hi' },
        ]),
        { role: 'assistant', content: 'The answer is \n' },
      ],
    });
    expect(body['messages']).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'The answer is' }] },
    ]);
  });

  it('cache_control is kept on parts, messages, calls, results and tools', () => {
    const mark = { cache_control: { type: 'ephemeral', ttl: '1h' } };
    const body = sent({
      tools: [{ ...weather, ...mark }],
      messages: [
        { role: 'system', content: 'S', ...mark },
        user([{ type: 'text', text: 'Hi', ...mark }]),
        { role: 'assistant', tool_calls: [{ ...call('toolu_1'), ...mark }] },
        { role: 'tool', tool_call_id: 'toolu_1', content: 'x', ...mark },
      ],
    });
    expect(JSON.stringify(body).match(/"cache_control":\{"type":"ephemeral","ttl":"1h"\}/g)).toHaveLength(5);
  });

  it.each<[string, unknown]>([
    ['messages[0].content[0].type', [{ text: 'x' }]],
    ['messages[0].content[0].image_url.url', [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }]],
    ['messages[0].content[0].image_url.url', [{ type: 'image_url', image_url: { url: 'data:image/png,raw' } }]],
    ['messages[0].content[0]', [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }]],
    ['messages[0].content[0]', [{ type: 'image_url', image_url: { url: 's3://bucket/key' } }]],
    ['messages[0].content[0]', [{ type: 'file', file: { file_data: 'data:application/zip;base64,AAAA' } }]],
    ['messages[0].content', 7],
    ['messages', ''],
  ])('%s is refused by name for %j', (param, content) => {
    expectRefusal(() => sent({ messages: [user(content)] }), param);
  });

  it.each([
    [{ role: 'assistant', tool_calls: [call('a', '{"city":')] }, 'messages[1].tool_calls[0].function.arguments'],
    [
      { role: 'assistant', tool_calls: [{ type: 'function', function: { name: 'f' } }] },
      'messages[1].tool_calls[0].id',
    ],
    [{ role: 'tool', content: 'x' }, 'messages[1].tool_call_id'],
    [{ role: 'critic', content: 'x' }, 'messages[1].role'],
  ])('the message %j is refused by the name of what is wrong with it', (message, param) => {
    expectRefusal(() => sent({ messages: [user('Hi'), message] }), param);
  });
});

describe('media', () => {
  it.each([
    [
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
    ],
    [
      { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'high' } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ],
    [
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, title: 'a.pdf' },
    ],
    [
      { type: 'file', file: { file_data: 'data:text/plain;base64,SGkh' } },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Hi!' } },
    ],
    [
      { type: 'file', file: { file_id: 'file_011' } },
      { type: 'document', source: { type: 'file', file_id: 'file_011' } },
    ],
    [
      { type: 'search_result', source: 'a', title: 'b', content: [] },
      { type: 'search_result', source: 'a', title: 'b', content: [] },
    ],
  ])('%j', (part, block) => {
    expect(sent({ messages: [user([part])] })['messages']).toEqual([{ role: 'user', content: [block] }]);
  });
});

describe('tools', () => {
  it.each([
    ['auto', { type: 'auto' }],
    ['none', { type: 'none' }],
    ['required', { type: 'any' }],
    [
      { type: 'function', function: { name: 'get_weather' } },
      { type: 'tool', name: 'get_weather' },
    ],
  ])('tool_choice %j', (choice, expected) => {
    expect(sent({ tools: [weather], tool_choice: choice })['tool_choice']).toEqual(expected);
  });

  it('one call at a time', () => {
    const parallel_tool_calls = false;
    expect(sent({ tools: [weather], parallel_tool_calls })['tool_choice']).toEqual({
      type: 'auto',
      disable_parallel_tool_use: true,
    });
    expect(sent({ tools: [weather], parallel_tool_calls, tool_choice: 'required' })['tool_choice']).toEqual({
      type: 'any',
      disable_parallel_tool_use: true,
    });
    expect(sent({ parallel_tool_calls })).not.toHaveProperty('tool_choice');
  });

  it("the provider's own tools pass, OpenAI's custom tools are refused, a tool without parameters takes none", () => {
    const own = { type: 'web_search_20250305', name: 'web_search', max_uses: 2 };
    const tools = [own, { type: 'function', function: { name: 'ping' } }];
    expect(sent({ tools })['tools']).toEqual([own, { name: 'ping', input_schema: { type: 'object', properties: {} } }]);
    expectRefusal(() => sent({ tools: [{ type: 'custom', custom: { name: 'x' } }] }), 'tools[0]');
  });

  it('a conversation with calls but no tools any more still defines what was called', () => {
    const messages = [
      user('?'),
      { role: 'assistant', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: 'x' },
    ];
    const body = sent({ messages });
    expect(body['tools']).toEqual([{ name: 'get_weather', input_schema: { type: 'object', properties: {} } }]);
    expect(body['tool_choice']).toEqual({ type: 'none' });
  });

  it('strict goes along where the model has it', () => {
    const strict = { type: 'function', function: { name: 'f', strict: true, parameters: { type: 'object' } } };
    expect(sent({ tools: [strict] })['tools']).toMatchObject([{ strict: true }]);
    expect(sent({ tools: [strict] }, 'claude-3-5-haiku-20241022')['tools']).not.toMatchObject([{ strict: true }]);
  });
});
