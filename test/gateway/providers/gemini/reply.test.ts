import { describe, expect, it } from 'vitest';
import type { UpstreamResponse } from '../../../../gateway/providers/adapter.ts';
import blocked from '../../../fixtures/providers/gemini/blocked.json' with { type: 'json' };
import errors from '../../../fixtures/providers/gemini/errors.json' with { type: 'json' };
import whole from '../../../fixtures/providers/gemini/whole.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/gemini/whole-tools.json' with { type: 'json' };
import wholeTwo from '../../../fixtures/providers/gemini/whole-two.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { parsedReply } from '../translating/official-openai.ts';
import { adapter, deployment, sent } from './example.ts';

const responseOf = (body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamResponse => ({
  status: 200,
  contentType: 'application/json; charset=UTF-8',
  headers: {},
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  ...over,
});

const replyTo = (body: unknown) => adapter.toReply(responseOf(body), exampleRequest(), deployment);

describe('a whole answer, as the official OpenAI client reads it', () => {
  it('text, thoughts and token counts', async () => {
    const { body, usage } = replyTo(whole.body);
    expect(usage).toEqual({ promptTokens: 12, completionTokens: 40, cachedPromptTokens: 8, reasoningTokens: 30 });
    expect(await parsedReply(body)).toMatchObject({
      id: 'mAitaLmkHPPlz7IPvtfUqQ4',
      model: 'gemini-2.5-flash',
      choices: [
        {
          finish_reason: 'stop',
          message: {
            role: 'assistant',
            content: 'Hello! How can I help?',
            reasoning_content: 'Let me greet.',
            thinking_blocks: [{ type: 'thinking', thinking: 'Let me greet.' }],
          },
        },
      ],
      usage: {
        prompt_tokens: 12,
        completion_tokens: 40,
        total_tokens: 52,
        prompt_tokens_details: { cached_tokens: 8 },
        completion_tokens_details: { reasoning_tokens: 30 },
      },
    });
  });

  it('calls, which can be sent back as they are', async () => {
    const reply = await parsedReply(replyTo(wholeTools.body).body);
    const message = reply.choices[0]?.message;
    expect(reply.choices[0]?.finish_reason).toBe('tool_calls');
    expect(message).toMatchObject({
      content: "I'll look both up.",
      tool_calls: [
        {
          id: 'fc1__thought__CiQB0e2Kb6Syr1hPWbs/nbUGqbLm+S5AQAcZ==',
          function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
        },
        { id: 'call_mAitaLmkHPPlz7IPvtfUqQ4_0', function: { name: 'get_time', arguments: '{}' } },
      ],
    });
    const results = (message?.tool_calls ?? []).map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'x' }));
    const body = sent({ messages: [{ role: 'user', content: '?' }, message, ...results] }, 'gemini-3-pro');
    const [candidate] = wholeTools.body.candidates;
    expect(body['contents']).toMatchObject([
      {},
      { role: 'model', parts: candidate?.content.parts },
      { parts: [{ functionResponse: { id: 'fc1', name: 'get_weather' } }, { functionResponse: { name: 'get_time' } }] },
    ]);
  });

  it('several answers, and probabilities', async () => {
    const reply = await parsedReply(replyTo(wholeTwo.body).body);
    expect(reply.choices).toMatchObject([
      {
        index: 0,
        finish_reason: 'stop',
        message: { content: 'Yes' },
        logprobs: {
          content: [
            {
              token: 'Yes',
              logprob: -0.1,
              bytes: [89, 101, 115],
              top_logprobs: [
                { token: 'Yes', logprob: -0.1 },
                { token: 'Nö', logprob: -2.4, bytes: [78, 195, 182] },
              ],
            },
          ],
        },
      },
      { index: 1, finish_reason: 'length', message: { content: 'No' }, logprobs: null },
    ]);
  });

  it.each([
    ['STOP', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['CONTINUATION', 'length'],
    ['SAFETY', 'content_filter'],
    ['RECITATION', 'content_filter'],
    ['PROHIBITED_CONTENT', 'content_filter'],
    ['MALFORMED_FUNCTION_CALL', 'stop'],
    ['SOMETHING_NEW', 'stop'],
  ])('finishReason %s is finish_reason %s', (finishReason, finish) => {
    const { body } = replyTo({ candidates: [{ finishReason }] });
    expect(JSON.parse(body.toString())).toMatchObject({
      choices: [{ finish_reason: finish, message: { content: '' } }],
    });
  });
});

describe('a 2xx that is no answer', () => {
  it('a prompt that was blocked is an error of its own kind, so that another model may be asked', () => {
    expect(() => replyTo(blocked.body)).toThrow(
      expect.objectContaining({
        name: 'UpstreamError',
        kind: 'content-policy',
        status: 400,
        code: 'content_filter',
        type: 'PROHIBITED_CONTENT',
      }),
    );
  });

  it.each([
    ['<html>', 502, 'unavailable'],
    ['{}', 502, 'unavailable'],
    ['[]', 502, 'unavailable'],
    ['{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}', 503, 'unavailable'],
    ['{"error":{"message":"odd"}}', 500, 'unavailable'],
  ])('%s', (body, status, kind) => {
    expect(() => replyTo(body)).toThrow(
      expect.objectContaining({ name: 'UpstreamError', status, kind, provider: 'gemini' }),
    );
  });
});

describe('errors', () => {
  it.each(errors.errors)(
    '$status $body.error.status: $body.error.message',
    ({ status, kind, body, wait, retryAfter }) => {
      const error = adapter.classify(responseOf(body, { status, headers: { 'retry-after': retryAfter } }), deployment);
      expect(error).toMatchObject({
        name: 'UpstreamError',
        status,
        kind,
        message: body.error.message,
        type: body.error.status,
      });
      expect(error.retryAfterSeconds).toBe(wait);
      // Streams that are no event streams answer with a list.
      expect(
        adapter.classify(responseOf([body], { status, headers: { 'retry-after': retryAfter } }), deployment),
      ).toMatchObject({ status, kind });
    },
  );

  it.each([
    ['', 500, 'unavailable'],
    ['<html>', 404, 'not-found'],
    ['{"error":"text"}', 429, 'rate-limit'],
    ['', 302, 'unavailable'],
  ])('the body %j with status %i', (body, status, kind) => {
    expect(adapter.classify(responseOf(body, { status }), deployment)).toMatchObject({
      kind,
      status: status < 400 ? 502 : status,
    });
  });

  it('a key that is quoted does not come through', () => {
    const body = { error: { message: 'API key AIza-secret is wrong' } };
    expect(adapter.classify(responseOf(body, { status: 403 }), deployment).message).toBe('API key *** is wrong');
  });
});
