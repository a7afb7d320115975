/** Every class of failure through every adapter: what the policies decide by must not depend on how well a provider explains itself. */
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { UpstreamError, type UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { UpstreamHeaders, UpstreamResponse } from '../../../gateway/providers/adapter.ts';
import { chooseAdapters } from '../../../gateway/providers/adapters.ts';
import anthropic from '../../fixtures/providers/anthropic/errors.json' with { type: 'json' };
import azure from '../../fixtures/providers/azure/errors.json' with { type: 'json' };
import bedrock from '../../fixtures/providers/bedrock/errors.json' with { type: 'json' };
import gemini from '../../fixtures/providers/gemini/errors.json' with { type: 'json' };
import openai from '../../fixtures/providers/openai/errors.json' with { type: 'json' };
import streamTools from '../../fixtures/providers/openai/stream-tools.json' with { type: 'json' };
import wholeTools from '../../fixtures/providers/openai/whole-tools.json' with { type: 'json' };
import { exampleDeployment, exampleRequest } from '../examples.ts';
import { decodeWhole } from './translating/decode.ts';
import { parsedReply, parsedStream } from './translating/official-openai.ts';
import { recordingServer } from './translating/recording-server.ts';

const adapterFor = chooseAdapters({ dropParams: false });
const providers = ['openai', 'azure', 'azure_ai', 'cohere', 'anthropic', 'bedrock', 'gemini', 'hosted_vllm'];

const answer = (status: number, body: unknown, headers: UpstreamHeaders = {}): UpstreamResponse => ({
  status,
  contentType: 'application/json',
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});
const deploymentOf = (provider: string) => exampleDeployment('d', { provider });

const classes: readonly [number, UpstreamErrorKind][] = [
  [302, 'unavailable'],
  [400, 'bad-request'],
  [401, 'authentication'],
  [402, 'authentication'],
  [403, 'authentication'],
  [404, 'not-found'],
  [405, 'bad-request'],
  [408, 'timeout'],
  [409, 'bad-request'],
  [413, 'bad-request'],
  [422, 'bad-request'],
  [429, 'rate-limit'],
  [500, 'unavailable'],
  [502, 'unavailable'],
  [503, 'unavailable'],
  [504, 'timeout'],
  [529, 'unavailable'],
];

describe.each(providers)('%s', (provider) => {
  it.each(classes)('status %i is %s, whatever its body is', (status, kind) => {
    const bodies = [
      '',
      '<html><h1>Error</h1></html>',
      '{"error":{"message":"cut',
      'null',
      '[]',
      '{}',
      '"text"',
      '{"error":{}}',
    ];
    for (const body of bodies) {
      const error = adapterFor(provider).classify(answer(status, body), deploymentOf(provider));
      expect({ body, kind: error.kind, status: error.status }).toEqual({
        body,
        kind,
        status: status < 400 ? 502 : status,
      });
      expect(error.message).not.toBe('');
    }
  });

  it.each(['', '<html></html>', '{"choices":[{"message":{"content":"cut', 'null', '[]', '"text"'])(
    'a 200 with %j is a failed attempt',
    (body) => {
      let thrown: unknown;
      try {
        adapterFor(provider).toReply(answer(200, body), exampleRequest(), deploymentOf(provider));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(UpstreamError);
      expect(thrown).toMatchObject({ kind: 'unavailable', status: 502 });
    },
  );
});

describe('an error that comes with a 200', () => {
  it.each<[string, unknown, UpstreamHeaders, number, UpstreamErrorKind]>([
    ['openai', { error: { message: 'slow down', code: 'rate_limit_exceeded' } }, {}, 429, 'rate-limit'],
    ['openai', { error: { message: 'oops', type: 'server_error' } }, {}, 500, 'unavailable'],
    ['azure', { error: { message: 'filtered', code: 'content_filter' } }, {}, 400, 'content-policy'],
    [
      'anthropic',
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      {},
      529,
      'unavailable',
    ],
    ['gemini', { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } }, {}, 503, 'unavailable'],
    ['bedrock', { __type: 'ThrottlingException', message: 'Too many requests' }, {}, 429, 'rate-limit'],
    ['bedrock', { message: 'No access' }, { 'x-amzn-errortype': 'AccessDeniedException' }, 403, 'authentication'],
  ])('%s: %j', (provider, body, headers, status, kind) => {
    expect(() =>
      adapterFor(provider).toReply(answer(200, body, headers), exampleRequest(), deploymentOf(provider)),
    ).toThrow(expect.objectContaining({ name: 'UpstreamError', status, kind }));
  });
});

describe('the fixtures', () => {
  const kindsOf = (fixture: { errors: readonly { kind: string }[] }) => new Set(fixture.errors.map(({ kind }) => kind));

  it.each([
    ['openai', openai],
    ['azure', azure],
    ['anthropic', anthropic],
    ['bedrock', bedrock],
    ['gemini', gemini],
  ])('of %s have every kind that the provider reports with a status of its own', (_provider, fixture) => {
    const kinds: UpstreamErrorKind[] = [
      'authentication',
      'bad-request',
      'context-window',
      'not-found',
      'rate-limit',
      'timeout',
      'unavailable',
    ];
    expect([...kindsOf(fixture)]).toEqual(expect.arrayContaining(kinds));
  });
});

describe('OpenAI’s own errors', () => {
  it.each(openai.errors)('$status $body.error.message', async ({ status, kind, body, headers = {}, wait }) => {
    const error = adapterFor('openai').classify(answer(status, body, headers), deploymentOf('openai'));
    const { message, type, code } = body.error;
    expect(error).toMatchObject({ status, kind, message, retryAfterSeconds: wait });
    expect([error.type, error.code]).toEqual([type ?? undefined, code ?? undefined]);
    expect(error.retryAdvised).toBe('x-should-retry' in headers ? false : undefined);
    // The official client reads the fixture as this class of error.
    const { origin } = await recordingServer({ status, body });
    const client = new OpenAI({ apiKey: 'k', baseURL: `${origin}/v1`, maxRetries: 0 });
    await expect(client.models.list()).rejects.toMatchObject({ status, error: body.error });
  });
});

describe('OpenAI’s calls of tools, as its own client reads what was passed on', () => {
  const adapter = adapterFor('openai');
  const calls = wholeTools.body.choices[0]?.message.tool_calls;
  const usage = { promptTokens: 82, completionTokens: 17, cachedPromptTokens: 64, reasoningTokens: 5 };

  it('whole', async () => {
    const reply = adapter.toReply(answer(200, wholeTools.body), exampleRequest(), deploymentOf('openai'));
    expect(reply.usage).toEqual(usage);
    const { choices } = await parsedReply(reply.body);
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: calls } });
  });

  it('streamed', async () => {
    const request = exampleRequest({ model: 'm', stream: true, stream_options: { include_usage: true } });
    const events = streamTools.events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
    const decoded = decodeWhole(
      adapter.decoder(request, deploymentOf('openai')),
      Buffer.from(`${events}data: [DONE]\n\n`),
    );
    expect(decoded.endings).toEqual(['end']);
    expect(decoded.usages).toEqual([usage]);
    const { choices } = await parsedStream(decoded.text);
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: calls } });
  });
});
