import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../gateway/domain/errors.ts';
import type { Operation } from '../../../gateway/domain/operation.ts';
import type { ModelRequest } from '../../../gateway/domain/request.ts';
import { type RequestHeaders, readRequest } from '../../../gateway/pipeline/read-request.ts';

const noHeaders: RequestHeaders = { callId: undefined, timeout: undefined, numRetries: undefined };
const messages = [{ role: 'user', content: 'Hello!' }];

const read = (body: unknown, headers: Partial<RequestHeaders> = {}, operation: Operation = 'chat'): ModelRequest =>
  readRequest(
    operation,
    Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    { ...noHeaders, ...headers },
    () => 'id-1',
    42,
  );

function refusalOf(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('there was no refusal');
}

describe('a request that cannot be served is refused with 400, naming the field', () => {
  it.each<[string, unknown, string | undefined, Operation?]>([
    ['not JSON', '{"model": ', undefined],
    ['an empty body', '', undefined],
    ['a list', [], undefined],
    ['null', 'null', undefined],
    ['no model', { messages }, 'model'],
    ['a model that is a number', { model: 4, messages }, 'model'],
    ['an empty model', { model: '', messages }, 'model'],
    ['no messages', { model: 'chat' }, 'messages'],
    ['messages that are text', { model: 'chat', messages: 'Hello!' }, 'messages'],
    ['no message', { model: 'chat', messages: [] }, 'messages'],
    ['a message that is text', { model: 'chat', messages: [...messages, 'Hello!'] }, 'messages[1]'],
    ['a message without a role', { model: 'chat', messages: [{ content: 'Hello!' }] }, 'messages[0]'],
    ['a stream that is text', { model: 'chat', messages, stream: 'yes' }, 'stream'],
    ['negative retries', { model: 'chat', messages, num_retries: -1 }, 'num_retries'],
    ['retries that are a word', { model: 'chat', messages, num_retries: 'many' }, 'num_retries'],
    ['no time at all', { model: 'chat', messages, timeout: 0 }, 'timeout'],
    ['no time to the first chunk', { model: 'chat', messages, stream_timeout: 0 }, 'stream_timeout'],
    ['a time that is a list', { model: 'chat', messages, timeout: [1] }, 'timeout'],
    ['fallbacks that are a word', { model: 'chat', messages, fallbacks: 'backup' }, 'fallbacks'],
    ['a fallback without a model', { model: 'chat', messages, fallbacks: ['b', { messages }] }, 'fallbacks[1]'],
    ['a fallback that is a number', { model: 'chat', messages, fallbacks: [7] }, 'fallbacks[0]'],
    [
      'a fallback with no message',
      { model: 'chat', messages, fallbacks: [{ model: 'b', messages: [] }] },
      'fallbacks[0].messages',
    ],
    [
      'a fallback that would stream otherwise',
      { model: 'chat', messages, fallbacks: [{ model: 'b', stream: true }] },
      'fallbacks[0].stream',
    ],
    [
      'a fallback with fallbacks of its own',
      { model: 'chat', messages, fallbacks: [{ model: 'b', fallbacks: ['c'] }] },
      'fallbacks[0].fallbacks',
    ],
    [
      'a fallback that pretends',
      { model: 'm', messages, fallbacks: [{ model: 'b', mock_response: 'x' }] },
      'fallbacks[0].mock_response',
    ],
    ['no input', { model: 'chat' }, 'input', 'embeddings'],
    ['an empty input', { model: 'chat', input: '' }, 'input', 'embeddings'],
    ['an empty list of inputs', { model: 'chat', input: [] }, 'input', 'embeddings'],
    ['an input that is an object', { model: 'chat', input: {} }, 'input', 'embeddings'],
  ])('%s', (_case, body, param, operation = 'chat') => {
    const refusal = refusalOf(() => read(body, {}, operation));
    expect(refusal).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    if (param !== undefined) expect(refusal.message).toContain(param);
  });

  it.each<[keyof RequestHeaders, string, string]>([
    ['timeout', 'soon', 'timeout'],
    ['timeout', '0', 'timeout'],
    ['timeout', '-3', 'timeout'],
    ['numRetries', 'NaN', 'num_retries'],
    ['numRetries', 'Infinity', 'num_retries'],
    ['numRetries', '', 'num_retries'],
    ['streamTimeout', 'soon', 'stream_timeout'],
    ['spendMetadata', '{', 'x-litellm-spend-logs-metadata'],
    ['spendMetadata', '[1]', 'x-litellm-spend-logs-metadata'],
    ['spendMetadata', `{"a":"${'x'.repeat(9_000)}"}`, 'x-litellm-spend-logs-metadata'],
  ])('a header %s of %j', (header, value, param) => {
    expect(refusalOf(() => read({ model: 'chat', messages }, { [header]: value })).param).toBe(param);
  });
});

describe('no message repeats a prompt', () => {
  const secret = 'PROMPT-SECRET';
  const cut = fc.record({
    body: fc.constantFrom(
      JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: secret }] }),
      JSON.stringify({ model: 'chat', messages: secret }),
      JSON.stringify({ model: 'chat', messages: [secret] }),
      JSON.stringify({ model: 'chat', messages: [{ role: 7, content: secret }] }),
      JSON.stringify({ model: 'chat', messages: { content: secret } }),
      JSON.stringify({ messages: [{ role: 'user', content: secret }] }),
      JSON.stringify(secret),
      JSON.stringify([secret]),
      secret,
      `${secret} ${secret}`,
    ),
    at: fc.nat(120),
    remove: fc.integer({ min: 0, max: 3 }),
    insert: fc.constantFrom('', '"', '\\', '}', ']', ',', '\n', '\u0000', 'x', `"${secret}"`),
    operation: fc.constantFrom<Operation>('chat', 'embeddings'),
  });

  it('wherever the body is damaged', () => {
    fc.assert(
      fc.property(cut, ({ body, at, remove, insert, operation }) => {
        const damaged = body.slice(0, at) + insert + body.slice(at + remove);
        try {
          read(damaged, {}, operation);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          expect(error.message).not.toContain('SECRET');
          expect(error.message.length).toBeLessThan(300);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('also where text stands in the place of the list', () => {
    const refusal = refusalOf(() => read({ model: 'chat', messages: 'my private words' }));
    expect(refusal.message).toBe('messages must be a list, is a string');
  });
});

describe('a request that is let through', () => {
  it('keeps the client’s bytes, its model and its call id', () => {
    const body = `{ "model" : "chat",\n "messages" : ${JSON.stringify(messages)} }`;
    const request = read(body, { callId: 'call-7' });
    expect(request.bytes.toString()).toBe(body);
    expect(request).toMatchObject({ id: 'id-1', callId: 'call-7', model: 'chat', stream: false, startedAtMs: 42 });
  });

  it.each([undefined, ''])('has its own id as call id when the client’s is %j', (callId) => {
    expect(read({ model: 'chat', messages }, { callId }).callId).toBe('id-1');
  });

  it('cuts a call id that is longer than a person would search for', () => {
    expect(read({ model: 'chat', messages }, { callId: 'x'.repeat(5_000) }).callId).toBe('x'.repeat(200));
  });

  it('reads its overrides from the body, and headers win', () => {
    const body = { model: 'chat', messages, num_retries: 1, timeout: 5, fallbacks: ['b'], disable_fallbacks: true };
    expect(read(body).overrides).toEqual({
      numRetries: 1,
      timeoutSeconds: 5,
      fallbacks: [{ model: 'b' }],
      disableFallbacks: true,
    });
    const { overrides } = read(body, { numRetries: '3', timeout: '2.5' });
    expect(overrides).toMatchObject({ numRetries: 3, timeoutSeconds: 2.5 });
    expect(read({ model: 'chat', messages, num_retries: null, timeout: null }).overrides).toEqual({
      disableFallbacks: false,
    });
  });

  it('keeps what a fallback says differently apart from its model', () => {
    const shorter = [{ role: 'user', content: 'Hi' }];
    const { overrides } = read({
      model: 'chat',
      messages,
      fallbacks: ['a', { model: 'b' }, { model: 'chat', messages: shorter, temperature: 0 }],
    });
    expect(overrides.fallbacks).toEqual([
      { model: 'a' },
      { model: 'b' },
      { model: 'chat', members: { messages: shorter, temperature: 0 } },
    ]);
    expect(read({ model: 'chat', messages, fallbacks: null }).overrides).not.toHaveProperty('fallbacks');
  });

  it('a timeout beyond what a timer can hold becomes a day, and not a millisecond', () => {
    const { overrides } = read({ model: 'chat', messages, timeout: 9_999_999 });
    expect(overrides.timeoutSeconds).toBe(86_400);
    expect((overrides.timeoutSeconds ?? 0) * 1000).toBeLessThan(2 ** 31);
  });

  it('an embedding takes text, texts and token lists, and never streams', () => {
    for (const input of ['text', ['a', 'b'], [1, 2], [[1], [2]]]) {
      expect(read({ model: 'chat', input, stream: true }, {}, 'embeddings').stream).toBe(false);
    }
  });

  it('only disable_fallbacks: true disables fallbacks', () => {
    expect(read({ model: 'chat', messages, disable_fallbacks: 'no' }).overrides.disableFallbacks).toBe(false);
  });
});

describe('what a request tells about itself', () => {
  it.each<[string, object, Partial<RequestHeaders>, string | undefined]>([
    ['nobody', {}, {}, undefined],
    ['user', { user: 'u' }, {}, 'u'],
    ['a number', { user: 7 }, {}, '7'],
    ['litellm_metadata.user', { litellm_metadata: { user: 'l' } }, {}, 'l'],
    ['metadata.user_id', { metadata: { user_id: 'm' } }, {}, 'm'],
    ['safety_identifier', { safety_identifier: 's' }, {}, 's'],
    ['the body’s own before its metadata', { user: 'u', metadata: { user_id: 'm' } }, {}, 'u'],
    ['x-litellm-end-user-id before the body', { user: 'u' }, { endUserId: 'e' }, 'e'],
    ['x-litellm-customer-id before that', { user: 'u' }, { endUserId: 'e', customerId: 'c' }, 'c'],
    ['nothing that is no name', { user: { id: 1 } }, {}, undefined],
    ['no more than a name has', { user: 'x'.repeat(5_000) }, {}, 'x'.repeat(256)],
  ])('its end user is %s', (_case, more, headers, endUser) => {
    expect(read({ model: 'chat', messages, ...more }, headers).endUser).toBe(endUser);
  });

  it('its spend metadata come from the header, else from metadata.spend_logs_metadata', () => {
    const body = { model: 'chat', messages, metadata: { spend_logs_metadata: { job: 1 } } };
    expect(read(body).spendMetadata).toEqual({ job: 1 });
    expect(read(body, { spendMetadata: '{"job":2}' }).spendMetadata).toEqual({ job: 2 });
    expect(read({ model: 'chat', messages })).not.toHaveProperty('spendMetadata');
  });

  it('a message for the log is never repeated in a refusal', () => {
    expect(refusalOf(() => read({ model: 'chat', messages }, { spendMetadata: '{"secret' })).message).not.toContain(
      'secret',
    );
  });

  it.each([
    ['true', true],
    ['1', true],
    ['false', undefined],
    [undefined, undefined],
  ])('x-litellm-enable-message-redaction: %s', (redaction, redacted) => {
    expect(read({ model: 'chat', messages }, { redaction }).redacted).toBe(redacted);
  });

  it('its time to the first chunk comes from the header, else from the body', () => {
    expect(read({ model: 'chat', messages, stream_timeout: 3 }).overrides.streamTimeoutSeconds).toBe(3);
    const { overrides } = read({ model: 'chat', messages, stream_timeout: 3 }, { streamTimeout: '0.5' });
    expect(overrides.streamTimeoutSeconds).toBe(0.5);
  });

  it.each<[object, object | undefined]>([
    [{}, undefined],
    [{ mock_testing_fallbacks: false, mock_timeout: null, mock_response: null }, undefined],
    [{ mock_response: 'Hi' }, { everyAttempt: { is: 'answer', content: 'Hi' } }],
    [{ mock_testing_fallbacks: true }, { groupFails: 'unavailable' }],
    [{ mock_testing_context_fallbacks: true }, { groupFails: 'context-window' }],
    [{ mock_testing_context_window_fallbacks: true }, { groupFails: 'context-window' }],
    [{ mock_testing_content_policy_fallbacks: true }, { groupFails: 'content-policy' }],
    [{ mock_testing_rate_limit_error: true }, { firstAttempt: { is: 'rate-limit' } }],
    [{ mock_timeout: true, mock_response: 'Hi' }, { everyAttempt: { is: 'timeout' } }],
  ])('its test hooks: %j', (more, mock) => {
    expect(read({ model: 'chat', messages, ...more }).mock).toEqual(mock);
  });
});
