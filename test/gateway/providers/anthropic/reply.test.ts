import { describe, expect, it } from 'vitest';
import { UpstreamError } from '../../../../gateway/domain/errors.ts';
import type { UpstreamResponse } from '../../../../gateway/providers/adapter.ts';
import errors from '../../../fixtures/providers/anthropic/errors.json' with { type: 'json' };
import whole from '../../../fixtures/providers/anthropic/whole.json' with { type: 'json' };
import wholeRefusal from '../../../fixtures/providers/anthropic/whole-refusal.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/anthropic/whole-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { parsedReply } from '../translating/official-openai.ts';
import { adapter, deployment, sent } from './example.ts';

const responseOf = (body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamResponse => ({
  status: 200,
  contentType: 'application/json',
  headers: {},
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  ...over,
});

const request = exampleRequest(undefined, { startedAtMs: 1_700_000_000_999 });
const replyTo = (body: unknown) => adapter.toReply(responseOf(body), request, deployment);

describe('a whole answer, as the official OpenAI client reads it', () => {
  it('text and token counts, cached ones included', async () => {
    const { body, usage } = replyTo(whole.body);
    expect(usage).toEqual({
      promptTokens: 2160,
      completionTokens: 10,
      cachedPromptTokens: 2048,
      cacheWriteTokens: 100,
    });
    expect(await parsedReply(body)).toEqual({
      id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'claude-sonnet-4-5-20250929',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello! How can I help you today?', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 2160,
        completion_tokens: 10,
        total_tokens: 2170,
        prompt_tokens_details: { cached_tokens: 2048, cache_creation_tokens: 100 },
        cache_creation_input_tokens: 100,
        cache_read_input_tokens: 2048,
      },
    });
  });

  it('calls and thoughts', async () => {
    const reply = await parsedReply(replyTo(wholeTools.body).body);
    expect(reply.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: "I'll look both up.",
        reasoning_content: 'The user asks for two cities.',
        thinking_blocks: [
          { type: 'thinking', thinking: 'The user asks for two cities.', signature: expect.stringMatching(/^EqQB/) },
          { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix/LafPsn4a' },
        ],
        tool_calls: [
          {
            id: 'toolu_01A09q90qw90lq917835lq9',
            type: 'function',
            function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
          },
          { id: 'toolu_02B', type: 'function', function: { name: 'get_time', arguments: '{}' } },
        ],
      },
    });
    expect(reply.usage?.completion_tokens_details).toEqual({ reasoning_tokens: 40 });
  });

  it('the message of an answer can be sent back as it is, and arrives as it came', async () => {
    const reply = await parsedReply(replyTo(wholeTools.body).body);
    const results = ['toolu_01A09q90qw90lq917835lq9', 'toolu_02B'].map((id) => ({
      role: 'tool',
      tool_call_id: id,
      content: 'x',
    }));
    const messages = [{ role: 'user', content: '?' }, reply.choices[0]?.message, ...results];
    const content = wholeTools.body.content.map(({ type, ...block }) => {
      const { caller: _caller, citations: _citations, ...kept } = { caller: undefined, citations: undefined, ...block };
      return { type, ...kept };
    });
    expect(sent({ messages })['messages']).toMatchObject([{}, { role: 'assistant', content }, {}]);
  });

  it('a refusal', async () => {
    const reply = await parsedReply(replyTo(wholeRefusal.body).body);
    expect(reply.choices[0]).toMatchObject({
      finish_reason: 'content_filter',
      message: { content: null, refusal: 'This request could enable cyber harm.' },
    });
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['pause_turn', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'content_filter'],
    ['something_new', 'stop'],
    ['toString', 'stop'],
  ])('stop_reason %s is finish_reason %s', (stop_reason, finish) => {
    const { body } = replyTo({ ...whole.body, stop_reason });
    expect(JSON.parse(body.toString())).toMatchObject({ choices: [{ finish_reason: finish }] });
  });

  it('the stop sequence that was met is told', () => {
    const { body } = replyTo({ ...whole.body, stop_reason: 'stop_sequence', stop_sequence: 'END' });
    expect(JSON.parse(body.toString())).toMatchObject({ choices: [{ stop_reason: 'END' }] });
  });
});

describe('a 2xx that is no answer', () => {
  it.each([
    ['<html>', 502, 'unavailable'],
    ['{}', 502, 'unavailable'],
    ['null', 502, 'unavailable'],
    ['{"content":"text"}', 502, 'unavailable'],
    ['{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 529, 'unavailable'],
    ['{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}', 429, 'rate-limit'],
  ])('%s', (body, status, kind) => {
    expect(() => replyTo(body)).toThrow(
      expect.objectContaining({ name: 'UpstreamError', status, kind, provider: 'anthropic' }),
    );
  });
});

describe('errors', () => {
  it.each(errors.errors)('$status $body.error.message', ({ status, kind, body, retryAfter }) => {
    const error = adapter.classify(responseOf(body, { status, headers: { 'retry-after': retryAfter } }), deployment);
    expect(error).toBeInstanceOf(UpstreamError);
    expect(error).toMatchObject({
      status,
      kind,
      message: body.error.message,
      type: body.error.type,
      provider: 'anthropic',
    });
    expect(error.retryAfterSeconds).toBe(retryAfter === undefined ? undefined : Number(retryAfter));
  });

  it.each([
    ['', 500, 'unavailable'],
    ['<html>bad gateway</html>', 502, 'unavailable'],
    ['[]', 404, 'not-found'],
    ['"x"', 429, 'rate-limit'],
    ['', 302, 'unavailable'],
  ])('the body %j with status %i', (body, status, kind) => {
    const error = adapter.classify(responseOf(body, { status }), deployment);
    expect(error).toMatchObject({ kind, status: status < 400 ? 502 : status });
    expect(error.message).not.toBe('');
  });

  it('a key that is quoted does not come through', () => {
    const body = { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key sk-ant-secret' } };
    expect(adapter.classify(responseOf(body, { status: 401 }), deployment).message).toBe('invalid x-api-key ***');
  });
});
