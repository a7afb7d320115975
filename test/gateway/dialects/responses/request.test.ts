/** Every parameter of a Responses request arrives in the chat request, or is refused by name. */
import { expect, it } from 'vitest';
import { toChat } from '../../../../gateway/dialects/responses/request.ts';
import { seal } from '../../../../gateway/dialects/responses/sealed.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import agentTurn from '../../../fixtures/dialects/responses-agent-turn.json' with { type: 'json' };
import { refusalOf } from '../refusal.ts';

const ask = { model: 'm', input: 'hi' };
const asked = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

it('a whole turn of an agent survives', () => {
  expect(toChat(agentTurn.request)).toEqual(agentTurn.chat);
});

it.each<[string, JsonObject, JsonObject]>([
  ['nothing more', {}, {}],
  ['absent by null', { instructions: null, tools: null, text: null, reasoning: null, previous_response_id: null }, {}],
  ['what is so anyway', { store: false, background: false, truncation: 'disabled', tools: [], include: [] }, {}],
  ['text', { text: { format: { type: 'text' } } }, {}],
  ['JSON', { text: { format: { type: 'json_object' } } }, { response_format: { type: 'json_object' } }],
  ['probabilities', { top_logprobs: 3 }, { logprobs: true, top_logprobs: 3 }],
  ['included probabilities', { include: ['message.output_text.logprobs'] }, { logprobs: true }],
  ['a required tool', { tool_choice: 'required' }, { tool_choice: 'required' }],
  ['the usual reasoning', { reasoning: { mode: 'standard', context: 'auto' } }, {}],
  ['the unknown', { service_tier: 'flex', anything: [1] }, { service_tier: 'flex', anything: [1] }],
])('%s', (_, given, expected) => {
  expect(toChat({ ...ask, ...given })).toEqual({ ...asked, ...expected });
});

it('sealed reasoning is opened again', () => {
  const reasoning = (encrypted: string, text?: string): JsonObject => ({
    type: 'reasoning',
    summary: text === undefined ? [] : [{ type: 'summary_text', text }],
    encrypted_content: encrypted,
  });
  const input = [reasoning(seal({ signature: 's' }), 'hm'), reasoning(seal({ data: 'd' }))];
  expect(toChat({ ...ask, input })['messages']).toEqual([
    {
      role: 'assistant',
      content: '',
      reasoning_content: 'hm',
      thinking_blocks: [
        { type: 'thinking', thinking: 'hm', signature: 's' },
        { type: 'redacted_thinking', data: 'd' },
      ],
    },
  ]);
});

it.each(['gAAAAA', 'holdfast.1.e30', seal({ data: 'd' }).replace('holdfast', 'elsewise')])(
  'reasoning that only another provider reads (%s) is left out, so that a fallback can go on; its summary stays',
  (encrypted) => {
    const bare = { type: 'reasoning', summary: [], encrypted_content: encrypted };
    const told = { ...bare, summary: [{ type: 'summary_text', text: 'hm' }] };
    const said = { role: 'user', content: 'hi' };
    expect(toChat({ ...ask, input: [bare, said] })['messages']).toEqual([said]);
    expect(toChat({ ...ask, input: [told, said] })['messages']).toEqual([
      { role: 'assistant', content: '', reasoning_content: 'hm' },
      said,
    ]);
  },
);

it('with drop_params, what only OpenAI does is left out: its tools, their calls, storing, truncation', () => {
  const called = toChat(
    {
      ...ask,
      store: true,
      truncation: 'auto',
      tools: [{ type: 'web_search' }, { type: 'function', name: 'f' }, { type: 'custom', name: 'patch' }],
      tool_choice: { type: 'web_search' },
      input: [{ type: 'web_search_call', id: 'ws_1' }, { type: 'mcp_list_tools' }, { role: 'user', content: 'hi' }],
    },
    { dropParams: true },
  );
  expect(called).toEqual({ ...asked, tools: [{ type: 'function', function: { name: 'f' } }] });
});

it('with drop_params, a choice among tools that are all left out is none', () => {
  const dropped = { dropParams: true };
  expect(toChat({ ...ask, tools: [{ type: 'web_search' }], tool_choice: 'required' }, dropped)).toEqual(asked);
});

it.each(['previous_response_id', 'conversation', 'prompt', 'background'])(
  'with drop_params, %s is refused all the same: without it the conversation is another one',
  (param) => {
    const refusal = refusalOf(() => toChat({ ...ask, [param]: true }, { dropParams: true }));
    expect(refusal).toMatchObject({ status: 400, param });
  },
);

const item = (...input: unknown[]): JsonObject => ({ input });
const part = (...content: unknown[]): JsonObject => item({ role: 'user', content });

it.each<[string, JsonObject]>([
  ['input', { input: undefined }],
  ['input', { input: [] }],
  ['input[0]', item('hi')],
  ['input[0].role', item({ role: 'tool', content: 'x' })],
  ['input[0].content', item({ role: 'user' })],
  ['input[0].content[0].text', part({ type: 'input_text' })],
  ['input[0].content[0].image_url', part({ type: 'input_image', file_id: 'f' })],
  ['input[0].content[0].file_data', part({ type: 'input_file', file_url: 'https://example.com' })],
  ['input[0].content[0].type', part({ type: 'input_video' })],
  ['input[0].type', item({ type: 'item_reference', id: 'msg_1' })],
  ['input[1].type', item({ role: 'user', content: 'x' }, { type: 'web_search_call' })],
  ['input[0]', item({ type: 'function_call', name: 'f' })],
  ['input[0].call_id', item({ type: 'function_call_output', output: 'x' })],
  ['instructions', { instructions: [] }],
  ['previous_response_id', { previous_response_id: 'resp_1' }],
  ['conversation', { conversation: 'conv_1' }],
  ['prompt', { prompt: { id: 'p' } }],
  ['store', { store: true }],
  ['background', { background: true }],
  ['truncation', { truncation: 'auto' }],
  ['context_management', { context_management: [{ type: 'compaction' }] }],
  ['reasoning.mode', { reasoning: { mode: 'pro' } }],
  ['text.format.type', { text: { format: { type: 'grammar' } } }],
  ['text.format.schema', { text: { format: { type: 'json_schema', name: 'x' } } }],
  ['tools', { tools: {} }],
  ['tools[0].type', { tools: [{ type: 'web_search' }] }],
  ['tools[0].name', { tools: [{ type: 'function' }] }],
  ['tool_choice', { tool_choice: 'some' }],
  ['tool_choice.type', { tool_choice: { type: 'mcp' } }],
  ['tool_choice.tools[0]', { tool_choice: { type: 'allowed_tools', tools: [{ type: 'mcp' }] } }],
])('%s is refused by its name', (param, given) => {
  const refusal = refusalOf(() => toChat({ ...ask, ...given }));
  expect(refusal).toMatchObject({ status: 400, param, message: expect.stringContaining(param) });
});
