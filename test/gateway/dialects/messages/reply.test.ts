/** How an answer ended, what it cost, and the order of a stream's events. */
import { expect, it } from 'vitest';
import { messagesDialect } from '../../../../gateway/dialects/messages/messages.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { blocksOf, eventsOf, upstreamGone } from '../canonical-answers.ts';
import { encoded } from '../dialect-server.ts';
import { weatherAnswer } from '../weather.ts';

const reply = (choice: JsonObject, more: JsonObject = {}): JsonObject => {
  const bytes = Buffer.from(JSON.stringify({ id: 'c1', model: 'm', choices: [{ index: 0, ...choice }], ...more }));
  return JSON.parse(messagesDialect.fromReply(bytes, {}).toString());
};
const call = (text: unknown, id = 'a'): JsonObject => ({
  tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: text } }],
});

it.each<[string, JsonObject, JsonObject]>([
  ['stop', { finish_reason: 'stop', message: { content: 'a' } }, { stop_reason: 'end_turn' }],
  ['length', { finish_reason: 'length', message: { content: 'a' } }, { stop_reason: 'max_tokens' }],
  ['calls', { finish_reason: 'tool_calls', message: call('{}') }, { stop_reason: 'tool_use' }],
  ['calls of a server that says stop', { finish_reason: 'stop', message: call('{}') }, { stop_reason: 'tool_use' }],
  ['a cut call', { finish_reason: 'length', message: call('{"a') }, { stop_reason: 'max_tokens' }],
  ['the filter', { finish_reason: 'content_filter', message: {} }, { stop_reason: 'refusal', content: [] }],
  [
    'a refusal',
    { finish_reason: 'stop', message: { content: null, refusal: 'I cannot.' } },
    {
      stop_reason: 'refusal',
      stop_details: { type: 'refusal', category: null, explanation: 'I cannot.' },
      content: [{ type: 'text', text: 'I cannot.', citations: null }],
    },
  ],
  [
    'a stop sequence that vLLM names',
    { finish_reason: 'stop', stop_reason: 'END', message: { content: 'a' } },
    { stop_reason: 'stop_sequence', stop_sequence: 'END' },
  ],
])('ended by %s', (_, choice, expected) => {
  expect(reply(choice)).toMatchObject({ stop_sequence: null, ...expected });
});

it.each<[string, unknown, unknown]>([
  ['an object', '{"a":1}', { a: 1 }],
  ['nothing', '', {}],
  ['no JSON', '{"a":', { INVALID_JSON: '{"a":' }],
  ['no object', '[1]', { INVALID_JSON: '[1]' }],
  ['an object that is not text', { a: 1 }, { a: 1 }],
])('arguments that are %s', (_, given, expected) => {
  expect(reply({ message: call(given) })).toMatchObject({ content: [{ type: 'tool_use', input: expected }] });
});

it.each<[string, JsonObject, JsonObject]>([
  ['OpenAI', { prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 } }, { input_tokens: 4 }],
  ['LiteLLM', { cache_read_input_tokens: 4, cache_creation_input_tokens: 2 }, { input_tokens: 4 }],
])('cached tokens as %s counts them', (_, details, expected) => {
  expect(
    reply({ message: {} }, { usage: { prompt_tokens: 10, completion_tokens: 3, ...details } })['usage'],
  ).toMatchObject({
    ...expected,
    output_tokens: 3,
    cache_read_input_tokens: 4,
    cache_creation_input_tokens: 2,
  });
});

it('reasoning in every shape becomes thinking', () => {
  const thinking = (message: JsonObject): unknown => reply({ message })['content'];
  const plain = [{ type: 'thinking', thinking: 'hm', signature: '' }];
  expect(thinking({ reasoning_content: 'hm' })).toEqual(plain);
  expect(thinking({ reasoning: 'hm' })).toEqual(plain);
  const blocks = [
    { type: 'thinking', thinking: 'hm', signature: 'one' },
    { type: 'redacted_thinking', data: 'x' },
    { type: 'thinking', thinking: 'ha', signature: 'two' },
  ];
  expect(thinking({ reasoning_content: 'hmha', thinking_blocks: blocks })).toEqual(blocks);
});

it('a call without an id gets one', () => {
  expect(reply({ message: call('{}', '') })).toMatchObject({ content: [{ id: 'call_c1_0' }] });
});

const ask = { stream: true };

function names(bytes: Buffer): string[] {
  return [...bytes.toString().matchAll(/^event: (.*)$/gm)].map(([, name]) => name ?? '');
}

it('one block is open at a time and indices count up, also when calls arrive interleaved', () => {
  const bytes = encoded(messagesDialect, ask, blocksOf(weatherAnswer)).toString();
  const indices = [...bytes.matchAll(/^data: (.*)$/gm)]
    .map(([, data]): JsonObject => JSON.parse(data ?? ''))
    .flatMap(({ type, index }) =>
      typeof index === 'number' && type !== 'content_block_delta' ? [`${String(type)} ${index}`] : [],
    );
  expect(indices).toEqual(
    [0, 1, 2, 3].flatMap((index) => [`content_block_start ${index}`, `content_block_stop ${index}`]),
  );
});

it('text is told as soon as it arrives', () => {
  const encoder = messagesDialect.encoder(ask);
  const [first = '', ...rest] = eventsOf({ ...weatherAnswer, reasoning: [], signature: undefined });
  expect(names(encoder.push(Buffer.from(first)))).toEqual(['message_start']);
  expect(names(encoder.push(Buffer.from(rest[0] ?? '')))).toEqual(['content_block_start', 'content_block_delta']);
  expect(names(encoder.push(Buffer.from(rest[1] ?? '')))).toEqual(['content_block_delta']);
});

it('blocks end with the reason to finish, the answer with its counts', () => {
  const encoder = messagesDialect.encoder(ask);
  const [finish = '', usage = '', done = ''] = eventsOf(weatherAnswer).slice(-3);
  for (const block of eventsOf(weatherAnswer).slice(0, -3)) encoder.push(Buffer.from(block));
  expect(names(encoder.push(Buffer.from(finish))).at(-1)).toBe('content_block_stop');
  expect(names(encoder.push(Buffer.from(usage)))).toEqual([]);
  expect(names(encoder.push(Buffer.from(done)))).toEqual(['message_delta', 'message_stop']);
});

it('nothing follows the last event', () => {
  const encoder = messagesDialect.encoder(ask);
  const blocks = eventsOf(weatherAnswer).map((block) => Buffer.from(block));
  for (const block of blocks) encoder.push(block);
  for (const bytes of [encoder.end(), encoder.broken(upstreamGone), ...blocks.map((block) => encoder.push(block))]) {
    expect(bytes.length).toBe(0);
  }
});

it.each([
  ['an end without a word', eventsOf(weatherAnswer).slice(0, -3)],
  ['an error of the upstream', [...eventsOf(weatherAnswer).slice(0, 4), 'data: {"error":{"message":"gone"}}\n\n']],
  ['an end without an answer', ['data: [DONE]\n\n']],
  ['silence', []],
])('%s is a failure', (_, blocks) => {
  const told = names(encoded(messagesDialect, ask, blocks));
  expect(told.at(-1)).toBe('error');
  expect(told).not.toContain('message_delta');
});

it('a stream without [DONE] but with a reason to finish is complete', () => {
  expect(names(encoded(messagesDialect, ask, eventsOf(weatherAnswer).slice(0, -1))).at(-1)).toBe('message_stop');
});

it('comments and line ends of any kind are read', () => {
  const blocks = eventsOf(weatherAnswer).map((block) => `: alive\r\n\r\n${block.replaceAll('\n', '\r\n')}`);
  expect(encoded(messagesDialect, ask, [blocks.join('')])).toEqual(
    encoded(messagesDialect, ask, eventsOf(weatherAnswer)),
  );
});
