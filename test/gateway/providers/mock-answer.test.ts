import { describe, expect, it } from 'vitest';
import type { Answer } from '../../../gateway/domain/answer.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';
import { mockAnswer } from '../../../gateway/providers/mock-answer.ts';
import { exampleRequest } from '../examples.ts';
import { Received } from './raw-source.ts';

const messages = [{ role: 'user', content: 'Hello!' }];
const asked = (body: JsonObject = {}) => exampleRequest({ model: 'chat', messages, ...body });
const read = (answer: Answer): unknown => (answer.kind === 'whole' ? JSON.parse(answer.body.toString()) : undefined);

function stream(content: unknown, body: JsonObject = {}): Received {
  const answer = mockAnswer(content, asked({ stream: true, ...body }));
  const received = new Received();
  if (answer.kind === 'stream') answer.chunks.start(received);
  return received;
}
const chunksOf = (text: string) =>
  text
    .split('\n\n')
    .filter((event) => event !== '' && event !== 'data: [DONE]')
    .map((event) => JSON.parse(event.slice(6)));

describe('mock_response as a text', () => {
  it('is a chat completion that says it, with LiteLLM’s token counts in it and none to book', () => {
    const answer = mockAnswer('Hi there', asked());
    expect(read(answer)).toMatchObject({
      object: 'chat.completion',
      model: 'chat',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi there' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 },
    });
    expect(answer).toMatchObject({ status: 200, usage: undefined, mocked: true });
  });

  it('is said as often as n asks', () => {
    expect(read(mockAnswer('Hi', asked({ n: 3 })))).toMatchObject({
      choices: [{ index: 0 }, { index: 1 }, { index: 2 }],
    });
  });

  it.each(['Hi there, you!', ' leading and trailing ', 'one', '', 'Zeilen\n\nund  Lücken 模型'])(
    'streams to the same text: %j',
    (text) => {
      const received = stream(text);
      expect(received).toMatchObject({ ending: 'finished', endings: 1 });
      expect(received.text).toMatch(/data: \[DONE\]\n\n$/);
      const chunks = chunksOf(received.text);
      expect(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('')).toBe(text);
      expect(chunks.at(-1)).toMatchObject({ object: 'chat.completion.chunk', choices: [{ finish_reason: 'stop' }] });
    },
  );

  it('streams token counts only to those who ask', () => {
    expect(stream('Hi').text).not.toContain('usage');
    const chunks = chunksOf(stream('Hi', { stream_options: { include_usage: true } }).text);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 30 } });
  });

  it.each([
    ['litellm.RateLimitError', 'rate-limit', 429],
    ['litellm.ContextWindowExceededError', 'context-window', 400],
    ['litellm.ContentPolicyViolationError', 'content-policy', 400],
    ['litellm.InternalServerError', 'unavailable', 500],
    ['litellm.AuthenticationError', 'authentication', 401],
    ['litellm.Timeout', 'timeout', 408],
    ['Exception: content_filter_policy was hit', 'content-policy', 400],
  ])('%s is that failure, and nothing was billed', (text, kind, status) => {
    expect(() => mockAnswer(text, asked())).toThrow(expect.objectContaining({ kind, status, mayBeBilled: false }));
    expect(() => mockAnswer(text, asked({ stream: true }))).toThrow(expect.objectContaining({ kind, status }));
  });

  it('mock_streaming_error breaks a stream that has begun', () => {
    const received = stream('Exception: mock_streaming_error');
    expect(received.chunks.length).toBeGreaterThan(0);
    expect(received.ending).toMatchObject({ status: 529 });
    expect(received.text).not.toContain('[DONE]');
  });
});

describe('mock_response as an answer', () => {
  const calls = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
  const completion = {
    id: 'mine',
    choices: [{ message: { role: 'assistant', content: null, tool_calls: calls }, finish_reason: 'tool_calls' }],
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  };

  it('is that answer', () => {
    expect(read(mockAnswer(completion, asked()))).toMatchObject({ model: 'chat', ...completion });
  });

  it('streams with its calls of tools and its reason for finishing', () => {
    const [first, last] = chunksOf(stream(completion).text);
    expect(first).toMatchObject({
      id: 'mine',
      choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...calls[0] }] } }],
    });
    expect(last).toMatchObject({ choices: [{ delta: {}, finish_reason: 'tool_calls' }] });
  });

  it('of other operations is passed as it is; a vector is one for each input', () => {
    const embed = exampleRequest({ model: 'e', input: ['a', 'b'] }, { operation: 'embeddings' });
    expect(read(mockAnswer([0.1, 0.2], embed))).toMatchObject({ data: [{ embedding: [0.1, 0.2] }, { index: 1 }] });
    const images = exampleRequest({ model: 'i', prompt: 'x' }, { operation: 'images' });
    expect(read(mockAnswer({ data: [] }, images))).toEqual({ data: [] });
  });

  it.each([
    ['chat', 7],
    ['embeddings', 'Hi'],
    ['images', 'Hi'],
  ] as const)('of %s cannot be %j', (operation, content) => {
    const request = exampleRequest({ model: 'm' }, { operation });
    expect(() => mockAnswer(content, request)).toThrow(
      expect.objectContaining({ status: 400, param: 'mock_response' }),
    );
  });
});
