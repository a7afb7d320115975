import { describe, expect, it } from 'vitest';
import {
  ClientGone,
  DeadlineExceeded,
  GatewayLeaving,
  NoDeployments,
  Refusal,
  type UpstreamErrorKind,
} from '../../../gateway/domain/errors.ts';
import { toErrorAnswer, toErrorEvent } from '../../../gateway/http/error-envelope.ts';
import { upstreamError } from '../examples.ts';

const envelopeOf = (error: unknown) => JSON.parse(String(toErrorAnswer(error).body));

describe('an upstream’s error', () => {
  it.each<[UpstreamErrorKind, number, string]>([
    ['authentication', 401, 'litellm.AuthenticationError: OpenAIException - no'],
    ['bad-request', 422, 'litellm.BadRequestError: OpenAIException - no'],
    ['content-policy', 400, 'litellm.ContentPolicyViolationError: OpenAIException - no'],
    ['context-window', 400, 'litellm.ContextWindowExceededError: OpenAIException - no'],
    ['not-found', 404, 'litellm.NotFoundError: OpenAIException - no'],
    ['rate-limit', 429, 'litellm.RateLimitError: OpenAIException - no'],
    ['timeout', 408, 'litellm.Timeout: OpenAIException - no'],
    ['unavailable', 503, 'litellm.InternalServerError: OpenAIException - no'],
  ])('%s keeps its status %d and names LiteLLM’s class and the provider', (kind, status, message) => {
    const error = upstreamError(kind, { status, message: 'no' });
    expect(toErrorAnswer(error).status).toBe(status);
    expect(envelopeOf(error).error).toMatchObject({ message, param: null, code: String(status) });
  });

  it('keeps the provider’s type and param', () => {
    const error = upstreamError('bad-request', { type: 'invalid_request_error', param: 'messages[0]' });
    expect(envelopeOf(error).error).toMatchObject({ type: 'invalid_request_error', param: 'messages[0]' });
  });

  it.each([
    [0.2, '1'],
    [7, '7'],
    [7.01, '8'],
  ])('hands on a Retry-After of %d s as whole seconds, never too early', (retryAfterSeconds, header) => {
    expect(toErrorAnswer(upstreamError('rate-limit', { retryAfterSeconds })).headers['retry-after']).toBe(header);
  });

  it('sets no Retry-After that nobody asked for', () => {
    expect(toErrorAnswer(upstreamError('rate-limit')).headers).not.toHaveProperty('retry-after');
  });
});

describe('an error of the gateway', () => {
  it.each<[string, unknown, number, string]>([
    ['a refusal', new Refusal({ status: 403, type: 'auth_error', message: 'no', param: 'model' }), 403, 'auth_error'],
    ['the deadline', new DeadlineExceeded(3), 408, 'timeout_error'],
    ['a shutdown', new GatewayLeaving(), 503, 'service_unavailable'],
    ['a client that left', new ClientGone(), 499, 'client_closed_request'],
    ['a bug', new TypeError('x is undefined'), 500, 'internal_server_error'],
    ['a thrown text', 'oops', 500, 'internal_server_error'],
  ])('%s', (_case, error, status, type) => {
    expect(toErrorAnswer(error)).toMatchObject({ status, headers: { 'content-type': 'application/json' } });
    expect(envelopeOf(error).error).toMatchObject({ type, code: String(status) });
    expect(Object.keys(envelopeOf(error).error).toSorted()).toEqual(['code', 'message', 'param', 'type']);
  });

  it('no deployment to ask is LiteLLM’s 429: its words, its missing type as "None", and when to come back', () => {
    const error = new NoDeployments('chat', 7);
    expect(toErrorAnswer(error)).toMatchObject({ status: 429, headers: { 'retry-after': '7' } });
    expect(envelopeOf(error)).toEqual({
      error: {
        message: 'No deployments available for selected model, Try again in 7 seconds. Passed model=chat',
        type: 'None',
        param: 'None',
        code: '429',
      },
    });
  });

  it('a bug shows nothing of itself', () => {
    expect(toErrorAnswer(new Error('password=hunter2 at db.internal')).body).not.toMatch(/hunter2|internal:/);
  });
});

it('a broken stream ends with one event that holds the same envelope', () => {
  const event = String(toErrorEvent(upstreamError('unavailable', { message: 'two\nlines' })));
  expect(event).toMatch(/^data: .*\n\n$/);
  expect(event.trimEnd()).not.toContain('\n');
  expect(JSON.parse(event.slice(6))).toEqual(envelopeOf(upstreamError('unavailable', { message: 'two\nlines' })));
});
