import { describe, expect, it } from 'vitest';
import type { UpstreamResponse } from '../../../../gateway/providers/adapter.ts';
import errors from '../../../fixtures/providers/bedrock/errors.json' with { type: 'json' };
import whole from '../../../fixtures/providers/bedrock/whole.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/bedrock/whole-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { parsedReply } from '../translating/official-openai.ts';
import { adapter, claude, deployment, sent } from './example.ts';

const responseOf = (body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamResponse => ({
  status: 200,
  contentType: 'application/json',
  headers: {},
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  ...over,
});

const replyTo = (body: unknown) => adapter.toReply(responseOf(body), exampleRequest(), deployment);

describe('a whole answer, as the official OpenAI client reads it', () => {
  it('text and token counts, cached ones included', async () => {
    const { body, usage } = replyTo(whole.body);
    expect(usage).toEqual({
      promptTokens: 2160,
      completionTokens: 10,
      cachedPromptTokens: 2048,
      cacheWriteTokens: 100,
    });
    expect(await parsedReply(body)).toMatchObject({
      id: 'chatcmpl-018f0000-0000-7000-8000-000000000000',
      model: claude,
      choices: [{ message: { role: 'assistant', content: 'Hello! How can I help you today?' }, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 2160,
        completion_tokens: 10,
        total_tokens: 2170,
        prompt_tokens_details: { cached_tokens: 2048 },
      },
    });
  });

  it('calls and thoughts, which can be sent back as they are', async () => {
    const reply = await parsedReply(replyTo(wholeTools.body).body);
    const message = reply.choices[0]?.message;
    expect(reply.choices[0]?.finish_reason).toBe('tool_calls');
    expect(message).toMatchObject({
      content: "I'll look both up.",
      reasoning_content: 'The user asks for two cities.',
      tool_calls: [
        {
          id: 'tooluse_kZJMlvQmRJ6eAyJE5GIl7Q',
          function: { name: 'get_weather', arguments: '{"city":"Paris","days":[1,2.5,null,true]}' },
        },
        { id: 'tooluse_2', function: { name: 'get_time', arguments: '{}' } },
      ],
    });
    const body = sent({ messages: [{ role: 'user', content: '?' }, message, { role: 'user', content: 'go' }] });
    expect(body['messages']).toMatchObject([
      {},
      { role: 'assistant', content: wholeTools.body.output.message.content },
      {},
    ]);
  });

  it('text with citations', () => {
    const content = [{ citationsContent: { content: [{ text: 'A' }, { text: 'B' }], citations: [] } }];
    const { body } = replyTo({ ...whole.body, output: { message: { role: 'assistant', content } } });
    expect(JSON.parse(body.toString())).toMatchObject({ choices: [{ message: { content: 'AB' } }] });
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['malformed_tool_use', 'stop'],
    ['something_new', 'stop'],
  ])('stopReason %s is finish_reason %s', (stopReason, finish) => {
    const { body } = replyTo({ ...whole.body, stopReason });
    expect(JSON.parse(body.toString())).toMatchObject({ choices: [{ finish_reason: finish }] });
  });

  it.each(['<html>', '{}', 'null', '{"output":{"message":{"content":"x"}}}'])('a 2xx that is no answer: %s', (body) => {
    expect(() => replyTo(body)).toThrow(
      expect.objectContaining({ name: 'UpstreamError', status: 502, kind: 'unavailable' }),
    );
  });
});

describe('errors', () => {
  it.each(errors.errors)('$status $type: $body.message', ({ status, kind, body, retryAfter }) => {
    const error = adapter.classify(responseOf(body, { status, headers: { 'retry-after': retryAfter } }), deployment);
    expect(error).toMatchObject({ name: 'UpstreamError', status, kind, message: body.message, provider: 'bedrock' });
    expect(error.retryAfterSeconds).toBe(retryAfter === undefined ? undefined : Number(retryAfter));
  });

  // https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization
  it.each([
    ['ServiceQuotaExceededException', 400, 'rate-limit'],
    ['ServiceQuotaExceededException:http://internal.amazon.com/coral/com.amazon.bedrock/', 400, 'rate-limit'],
    ['com.amazon.bedrock#ThrottlingException', 400, 'rate-limit'],
    ['ModelNotReadyException', 400, 'rate-limit'],
    ['ValidationException', 400, 'bad-request'],
  ])('the type in the header decides: %s with status %i is %s', (header, status, kind) => {
    const answer = responseOf({ message: 'No.' }, { status, headers: { 'x-amzn-errortype': header } });
    const type = /\w+Exception/.exec(header)?.[0];
    expect(adapter.classify(answer, deployment)).toMatchObject({ kind, status, type, message: 'No.' });
  });

  it('a type without a body is all that can be said', () => {
    const answer = responseOf('', { status: 403, headers: { 'x-amzn-errortype': 'AccessDeniedException' } });
    expect(adapter.classify(answer, deployment)).toMatchObject({
      kind: 'authentication',
      message: 'AccessDeniedException',
    });
  });

  it('a quota says so by its type only', () => {
    const body = {
      __type: 'com.amazon.coral#ServiceQuotaExceededException:http://x',
      Message: 'Too many tokens per day',
    };
    const error = adapter.classify(responseOf(body, { status: 400 }), deployment);
    expect(error).toMatchObject({
      kind: 'rate-limit',
      type: 'ServiceQuotaExceededException',
      message: 'Too many tokens per day',
    });
  });

  it.each([
    ['', 500, 'unavailable'],
    ['<html>', 503, 'unavailable'],
    ['[]', 403, 'authentication'],
    ['', 302, 'unavailable'],
  ])('the body %j with status %i', (body, status, kind) => {
    expect(adapter.classify(responseOf(body, { status }), deployment)).toMatchObject({
      kind,
      status: status < 400 ? 502 : status,
    });
  });
});
