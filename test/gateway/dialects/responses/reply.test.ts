/** How a Response ended, and what its items are. */
import { expect, it } from 'vitest';
import { responsesDialect } from '../../../../gateway/dialects/responses/responses.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { encoded } from '../dialect-server.ts';

const reply = (choice: JsonObject, request: JsonObject = {}): JsonObject => {
  const bytes = Buffer.from(JSON.stringify({ id: 'c1', model: 'm', created: 5, choices: [{ index: 0, ...choice }] }));
  return JSON.parse(responsesDialect.fromReply(bytes, request).toString());
};
const call = (text: string): JsonObject => ({
  tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: text } }],
});

it.each<[string, JsonObject, JsonObject]>([
  ['stop', { finish_reason: 'stop', message: { content: 'a' } }, { status: 'completed', incomplete_details: null }],
  [
    'length',
    { finish_reason: 'length', message: { content: 'a', ...call('{"a') } },
    {
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'completed' }, { status: 'incomplete', arguments: '{"a' }],
    },
  ],
  [
    'the filter',
    { finish_reason: 'content_filter', message: {} },
    { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
  ],
  [
    'a refusal',
    { finish_reason: 'stop', message: { refusal: 'I cannot.' } },
    { status: 'completed', output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'I cannot.' }] }] },
  ],
  ['a call without arguments', { message: call('') }, { output: [{ type: 'function_call', arguments: '{}' }] }],
  [
    'reasoning that only the provider reads',
    { message: { thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }] } },
    { output: [{ type: 'reasoning', summary: [], encrypted_content: expect.stringContaining('holdfast.1.') }] },
  ],
  [
    'a citation',
    {
      message: {
        content: 'a',
        annotations: [{ type: 'url_citation', url_citation: { url: 'https://example.com', start_index: 0 } }],
      },
    },
    {
      output: [{ content: [{ annotations: [{ type: 'url_citation', url: 'https://example.com', start_index: 0 }] }] }],
    },
  ],
  [
    'probabilities',
    { message: { content: 'a' }, logprobs: { content: [{ token: 'a', logprob: -1 }] } },
    { output: [{ content: [{ logprobs: [{ token: 'a', logprob: -1 }] }] }] },
  ],
])('%s', (_, choice, expected) => {
  expect(reply(choice)).toMatchObject({ id: 'resp_c1', object: 'response', created_at: 5, ...expected });
});

it('a limit that cuts calls leaves no call that looks complete', () => {
  const calls = [
    { index: 0, id: 'x', function: { name: 'f', arguments: '{"a":' } },
    { index: 1, id: 'y', function: { name: 'f', arguments: '{}' } },
    { index: 2, id: 'z', function: { name: 'f', arguments: '{}' } },
  ];
  const choice = { index: 0, finish_reason: 'length', delta: { tool_calls: calls } };
  const expected = ['incomplete', 'completed', 'incomplete'];
  const told = encoded(responsesDialect, {}, [`data: ${JSON.stringify({ choices: [choice] })}\n\n`]).toString();
  const done = [...told.matchAll(/"type":"response.output_item.done".*"status":"(\w+)"/g)].map(([, status]) => status);
  expect(done).toEqual(expected);
  expect(told).toContain('event: response.incomplete\n');
  expect(told).not.toContain('event: response.completed\n');
  const whole = reply({ finish_reason: 'length', message: { tool_calls: calls } });
  expect(whole).toMatchObject({ output: expected.map((status) => ({ status })) });
});

it('the request is repeated', () => {
  const request = { instructions: 'Be brief.', temperature: 0.5, metadata: { a: 'b' }, tools: [{ type: 'function' }] };
  expect(reply({ message: {} }, request)).toMatchObject({ ...request, store: false, previous_response_id: null });
});
