/** Every parameter of a Messages request arrives in the chat request, or is refused by name. */
import { expect, it } from 'vitest';
import { countTokens } from '../../../../gateway/dialects/messages/count-tokens.ts';
import { toChat } from '../../../../gateway/dialects/messages/request.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import agentTurn from '../../../fixtures/dialects/messages-agent-turn.json' with { type: 'json' };
import { refusalOf } from '../refusal.ts';

const ask = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] };
const asked = { model: 'm', max_completion_tokens: 10, messages: [{ role: 'user', content: 'hi' }] };

it('a whole turn of an agent survives', () => {
  expect(toChat(agentTurn.request)).toEqual(agentTurn.chat);
});

it.each<[string, JsonObject, JsonObject]>([
  ['nothing more', {}, {}],
  ['no stream', { stream: false }, { stream: false }],
  ['empty lists', { tools: [], stop_sequences: [], mcp_servers: [] }, {}],
  ['absent by null', { system: null, container: null, output_config: null, tool_choice: null }, {}],
  ['choice auto', { tool_choice: { type: 'auto' } }, { tool_choice: 'auto' }],
  ['choice none', { tool_choice: { type: 'none' } }, { tool_choice: 'none' }],
  [
    'one tool',
    { tool_choice: { type: 'tool', name: 'f' } },
    { tool_choice: { type: 'function', function: { name: 'f' } } },
  ],
  ['effort', { output_config: { effort: 'max' } }, { reasoning_effort: 'max' }],
  [
    'effort before budget',
    { output_config: { effort: 'low' }, thinking: { type: 'enabled', budget_tokens: 20_000 } },
    { reasoning_effort: 'low', thinking: { type: 'enabled', budget_tokens: 20_000 } },
  ],
  ['thinking off', { thinking: { type: 'disabled' } }, { thinking: { type: 'disabled' } }],
  ['what is new in output_config', { output_config: { task_budget: 1 } }, { output_config: { task_budget: 1 } }],
  [
    'the older name of a format',
    { output_format: { type: 'json_schema', schema: {} } },
    { response_format: { type: 'json_schema', json_schema: { name: 'output', schema: {}, strict: true } } },
  ],
  ['a long user id', { metadata: { user_id: 'u'.repeat(65) } }, { user: expect.stringMatching(/^[0-9a-f]{64}$/) }],
  ['the longest user id', { metadata: { user_id: 'u'.repeat(64) } }, { user: 'u'.repeat(64) }],
  ['empty content', { messages: [{ role: 'user', content: [] }] }, { messages: [{ role: 'user', content: '' }] }],
  ['the unknown', { speed: 'fast', anything: [1] }, { speed: 'fast', anything: [1] }],
])('%s', (_, given, expected) => {
  expect(toChat({ ...ask, ...given })).toEqual({ ...asked, ...expected });
});

it.each<[string, unknown, unknown]>([
  [
    'unsigned reasoning is not shown to providers that sign',
    { type: 'thinking', thinking: 'hm', signature: '' },
    { content: '', reasoning_content: 'hm' },
  ],
  [
    'a call without text',
    { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
    { content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } }] },
  ],
  [
    'a text with a mark stays a part',
    { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
    { content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }] },
  ],
])('an assistant said: %s', (_, block, expected) => {
  const chat = toChat({ ...ask, messages: [{ role: 'assistant', content: [block] }] });
  expect(chat['messages']).toEqual([{ role: 'assistant', ...Object(expected) }]);
});

const user = (...content: unknown[]): JsonObject => ({ messages: [{ role: 'user', content }] });

it.each<[string, JsonObject]>([
  ['messages', { messages: 'hi' }],
  ['messages', { messages: [] }],
  ['messages[0]', { messages: ['hi'] }],
  ['messages[0].role', { messages: [{ role: 'tool', content: 'x' }] }],
  ['messages[0].content', { messages: [{ role: 'user', content: 7 }] }],
  ['messages[0].content[0]', user('hi')],
  ['messages[0].content[1].type', user({ type: 'text', text: 'a' }, { type: 'container_upload', file_id: 'f' })],
  ['messages[0].content[0].text', user({ type: 'text' })],
  ['messages[0].content[0].source', user({ type: 'image', source: { type: 'file', file_id: 'f' } })],
  ['messages[0].content[0].source', user({ type: 'image', source: { type: 'base64' } })],
  ['messages[0].content[0].source', user({ type: 'document', source: { type: 'url', url: 'https://example.com' } })],
  [
    'messages[0].content[0].citations',
    user({ type: 'document', citations: { enabled: true }, source: { type: 'text', data: 'a' } }),
  ],
  ['messages[0].content[0].tool_use_id', user({ type: 'tool_result', content: 'x' })],
  [
    'messages[0].content[0].content[0].type',
    user({ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'tool_reference' }] }),
  ],
  ['messages[0].content[0].type', { messages: [{ role: 'assistant', content: [{ type: 'server_tool_use' }] }] }],
  ['messages[0].content[0]', { messages: [{ role: 'assistant', content: [{ type: 'tool_use', id: 'a' }] }] }],
  ['tools', { tools: {} }],
  ['tools[0]', { tools: [{ description: 'nameless' }] }],
  ['tools[0].type', { tools: [{ type: 'bash_20250124', name: 'bash' }] }],
  ['tool_choice', { tool_choice: 'auto' }],
  ['tool_choice.type', { tool_choice: { type: 'some' } }],
  ['tool_choice.name', { tool_choice: { type: 'tool' } }],
  ['container', { container: 'c-1' }],
  ['mcp_servers', { mcp_servers: [{ url: 'https://example.com' }] }],
  ['stop_sequences', { stop_sequences: 'END' }],
  ['output_config.format', { output_config: { format: { type: 'xml' } } }],
  ['system[0].type', { system: [{ type: 'image' }] }],
])('%s is refused by its name', (param, given) => {
  const refusal = refusalOf(() => toChat({ ...ask, ...given }));
  expect(refusal).toMatchObject({ status: 400, param, message: expect.stringContaining(param) });
});

it('tokens are estimated without asking a provider', () => {
  const text = countTokens({ ...ask, messages: [{ role: 'user', content: 'x'.repeat(400) }] });
  expect(JSON.parse(text.toString())).toEqual({ input_tokens: expect.closeTo(107, -1) });
  const image = countTokens({
    ...ask,
    messages: user({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(90_000) } })[
      'messages'
    ],
  });
  expect(JSON.parse(image.toString())).toEqual({ input_tokens: expect.closeTo(1_610, -2) });
});

it('with drop_params, what only Anthropic does is left out: its tools, their calls, its servers', () => {
  const content = [
    { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
    { type: 'web_search_tool_result', tool_use_id: 's', content: [] },
    { type: 'text', text: 'found' },
  ];
  const called = toChat(
    {
      ...ask,
      messages: [{ role: 'assistant', content }, ...ask.messages],
      mcp_servers: [{ type: 'url', url: 'https://example.com' }],
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
      tool_choice: { type: 'any' },
    },
    { dropParams: true },
  );
  expect(called).toEqual({ ...asked, messages: [{ role: 'assistant', content: 'found' }, ...asked.messages] });
});
