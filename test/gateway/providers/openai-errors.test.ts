import { describe, expect, it } from 'vitest';
import { UpstreamError, type UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { UpstreamResponse } from '../../../gateway/providers/adapter.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

const deployment = exampleDeployment('d');

const responseOf = (status: number, body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamResponse => ({
  status,
  contentType: 'application/json',
  headers: {},
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  ...over,
});

const classify = (status: number, body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamError =>
  openAIAdapter.classify(responseOf(status, body, over), deployment);

describe('an error answer', () => {
  it.each<[number, object, UpstreamErrorKind]>([
    [400, { message: 'bad' }, 'bad-request'],
    [401, { message: 'bad key' }, 'authentication'],
    [402, { message: 'pay' }, 'authentication'],
    [403, { message: 'no' }, 'authentication'],
    [404, { message: 'no such model' }, 'not-found'],
    [408, { message: 'slow' }, 'timeout'],
    [409, { message: 'conflict' }, 'bad-request'],
    [422, { message: 'bad' }, 'bad-request'],
    [429, { message: 'slow down' }, 'rate-limit'],
    [429, { message: 'pay', code: 'insufficient_quota' }, 'rate-limit'],
    [500, { message: 'oops' }, 'unavailable'],
    [502, { message: 'oops' }, 'unavailable'],
    [503, { message: 'oops' }, 'unavailable'],
    [504, { message: 'slow' }, 'timeout'],
    [529, { message: 'overloaded' }, 'unavailable'],
    [400, { message: 'x', code: 'context_length_exceeded' }, 'context-window'],
    [400, { message: "This model's maximum context length is 8192 tokens" }, 'context-window'],
    [413, { message: 'prompt is too long: 9 tokens' }, 'context-window'],
    [500, { message: 'the context window service crashed' }, 'unavailable'],
    [400, { message: 'x', code: 'content_policy_violation' }, 'content-policy'],
    [400, { message: 'x', code: 'content_filter' }, 'content-policy'],
    [400, { message: "triggering Azure OpenAI's content management policy" }, 'content-policy'],
  ])('%d %j is %s, with its own status', (status, error, kind) => {
    expect(classify(status, { error })).toMatchObject({ kind, status, provider: 'openai' });
  });

  it('keeps the provider’s words, type, param and code', () => {
    const error = { message: 'Invalid value', type: 'invalid_request_error', param: 'messages', code: 'invalid' };
    expect(classify(400, { error })).toMatchObject(error);
  });

  it.each<[string, unknown, string]>([
    ['FastAPI', { detail: 'Not Found' }, 'Not Found'],
    ['vLLM', { object: 'error', message: 'too long', code: 400 }, 'too long'],
    ['text-generation-inference', { error: 'overloaded', error_type: 'overloaded' }, 'overloaded'],
    [
      'HTML of a proxy',
      '<html><h1>502 Bad Gateway</h1></html>',
      'status 502 without an explanation that could be read',
    ],
    ['nothing', '', 'status 502 without an explanation that could be read'],
    ['cut JSON', '{"error":{"mess', 'status 502 without an explanation that could be read'],
    ['null', 'null', 'status 502 without an explanation that could be read'],
    ['an error of null', { error: null }, 'status 502 without an explanation that could be read'],
  ])('%s: says what could be read', (_case, body, message) => {
    expect(classify(502, body).message).toBe(message);
  });

  it('never repeats the deployment’s key, however the provider quotes it', () => {
    const error = classify(401, { error: { message: 'Incorrect API key provided: sk-upstream (sk-upstream).' } });
    expect(error.message).toBe('Incorrect API key provided: *** (***).');
  });

  it('a redirect is no answer and is not passed on', () => {
    expect(classify(302, '')).toMatchObject({ kind: 'unavailable', status: 502 });
  });
});

describe('a 200', () => {
  const reply = (body: unknown, over: Partial<UpstreamResponse> = {}) =>
    openAIAdapter.toReply(responseOf(200, body, over), exampleRequest(), deployment);
  const failure = (body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamError => {
    try {
      reply(body, over);
    } catch (error) {
      if (error instanceof UpstreamError) return error;
      throw error;
    }
    throw new Error('it was taken for an answer');
  };

  it('is handed on as the very bytes that came, with its token counts', () => {
    const body = Buffer.from('{ "usage" : {"prompt_tokens":7,"completion_tokens":3}, "choices":[{"x":"é"}] }');
    const answer = openAIAdapter.toReply({ ...responseOf(200, ''), body }, exampleRequest(), deployment);
    expect(answer.body).toBe(body);
    expect(answer.usage).toEqual({ promptTokens: 7, completionTokens: 3 });
  });

  it('of embeddings has no completion tokens', () => {
    expect(reply({ data: [], usage: { prompt_tokens: 7, total_tokens: 7 } }).usage).toEqual({
      promptTokens: 7,
      completionTokens: 0,
    });
  });

  it.each([
    {},
    { usage: null },
    { usage: { prompt_tokens: '7' } },
    { usage: { prompt_tokens: -7 } },
    { usage: { prompt_tokens: 1.5 } },
    { usage: [1] },
    { choices: [{ message: { content: '"usage":{"prompt_tokens":9}' } }] },
  ])('%j has unknown token counts, not 0', (body) => {
    expect(reply(body).usage).toBeUndefined();
  });

  it('with "error": null is an answer', () => {
    expect(reply({ error: null, choices: [] }).body.length).toBeGreaterThan(0);
  });

  it.each<[string, unknown, number, UpstreamErrorKind]>([
    ['an error', { error: { message: 'boom' } }, 500, 'unavailable'],
    ['an error that states its status', { error: { message: 'slow down', code: 429 } }, 429, 'rate-limit'],
    ['an error known by its code', { error: { message: 'x', code: 'context_length_exceeded' } }, 400, 'context-window'],
    ['an error that is text', { error: 'boom' }, 500, 'unavailable'],
    ['HTML', '<html></html>', 502, 'unavailable'],
    ['nothing', '', 502, 'unavailable'],
    ['cut JSON', '{"choices":[{"message":{"content":"Hel', 502, 'unavailable'],
    ['a list', '[]', 502, 'unavailable'],
  ])('with %s is a failed attempt', (_case, body, status, kind) => {
    expect(failure(body)).toMatchObject({ status, kind });
  });

  it('with an error keeps the Retry-After beside it', () => {
    expect(failure({ error: { code: 429 } }, { headers: { 'retry-after': '9' } }).retryAfterSeconds).toBe(9);
  });
});
