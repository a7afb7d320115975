import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PassedUsageReader } from '../../../gateway/providers/passed-usage.ts';
import { named } from '../../support/recorder.ts';

const data = (...list: readonly object[]): string => list.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('');
const chat = {
  model: 'gpt-4o-2024-08-06',
  choices: [{ message: { content: '"usage":{"prompt_tokens":1}' } }],
  usage: { prompt_tokens: 20, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 5 } },
};
const response = {
  model: 'gpt-5',
  usage: { input_tokens: 20, output_tokens: 7, output_tokens_details: { reasoning_tokens: 3 } },
};
const message = {
  type: 'message',
  model: 'claude',
  usage: { input_tokens: 4, cache_creation_input_tokens: 6, output_tokens: 9 },
};
const candidate = (count: number) => ({
  candidates: [],
  modelVersion: 'gemini-2.5-flash',
  usageMetadata: { promptTokenCount: 8, candidatesTokenCount: count },
});
const whole = 'application/json; charset=utf-8';
const stream = 'text/event-stream';

const cases: readonly (readonly [string, string, string, string, object])[] = [
  [
    'a chat',
    '/v1/chat/completions?a=b',
    whole,
    JSON.stringify(chat),
    { model: 'gpt-4o-2024-08-06', usage: { promptTokens: 20, completionTokens: 7, cachedPromptTokens: 5 } },
  ],
  [
    'a chat in pieces',
    '/v1/chat/completions',
    stream,
    `${data({ model: 'm', choices: [{}], usage: null }, { model: 'm', choices: [], usage: chat.usage })}data: [DONE]\n\n`,
    { model: 'm', usage: { promptTokens: 20, completionTokens: 7, cachedPromptTokens: 5 } },
  ],
  [
    'embeddings',
    '/v1/embeddings',
    whole,
    JSON.stringify({ data: [], model: 'e', usage: { prompt_tokens: 3, total_tokens: 3 } }),
    { model: 'e', usage: { promptTokens: 3, completionTokens: 0 } },
  ],
  [
    'a Response',
    '/v1/responses',
    whole,
    JSON.stringify(response),
    { model: 'gpt-5', usage: { promptTokens: 20, completionTokens: 7, reasoningTokens: 3 } },
  ],
  [
    'a Response in pieces',
    '/v1/responses',
    stream,
    named(
      { type: 'response.created', response: { model: 'gpt-5', usage: null } },
      { type: 'response.completed', response },
    ),
    { model: 'gpt-5', usage: { promptTokens: 20, completionTokens: 7, reasoningTokens: 3 } },
  ],
  [
    'a message',
    '/v1/messages',
    whole,
    JSON.stringify(message),
    { model: 'claude', usage: { promptTokens: 10, completionTokens: 9, cacheWriteTokens: 6 } },
  ],
  [
    'a message in pieces',
    '/v1/messages',
    stream,
    named({ type: 'message_start', message }, { type: 'message_delta', usage: { output_tokens: 30 } }),
    { model: 'claude', usage: { promptTokens: 10, completionTokens: 30, cacheWriteTokens: 6 } },
  ],
  [
    'Gemini',
    '/v1beta/models/gemini-2.5-flash:generateContent',
    whole,
    JSON.stringify(candidate(2)),
    { model: 'gemini-2.5-flash', usage: { promptTokens: 8, completionTokens: 2 } },
  ],
  [
    'Gemini in pieces',
    '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    stream,
    data(candidate(1), candidate(5)),
    { model: 'gemini-2.5-flash', usage: { promptTokens: 8, completionTokens: 5 } },
  ],
  [
    'Gemini as a list',
    '/v1beta/models/gemini-2.5-flash:streamGenerateContent',
    whole,
    JSON.stringify([candidate(1), candidate(5)]),
    { model: 'gemini-2.5-flash', usage: { promptTokens: 8, completionTokens: 5 } },
  ],
];

function read(path: string, headers: Readonly<Record<string, string>>, pieces: readonly Buffer[], method = 'POST') {
  const reader = PassedUsageReader.for(method, path);
  reader?.head(headers);
  for (const piece of pieces) reader?.data(piece);
  return reader?.end();
}

describe('tokens of an answer that is passed on', () => {
  it.each(cases)('are those of %s, however it is cut', (_name, path, type, text, expected) => {
    const bytes = Buffer.from(text);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(read(path, { 'content-type': type }, pieces)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  const bytes = [Buffer.from(JSON.stringify(chat))];
  it.each([
    ['that was billed before', '/v1/chat/completions/id', {}, 'GET'],
    ['of another call', '/v1/files', {}, 'POST'],
    ['in a form that is not read', '/v1/chat/completions', { 'content-encoding': 'gzip' }, 'POST'],
  ])('are unknown of an answer %s', (_what, path, headers, method) => {
    expect(read(path, { 'content-type': whole, ...headers }, bytes, method)).toBeUndefined();
  });

  it.each([
    ['no JSON', '{"model":'],
    ['without a model', JSON.stringify({ usage: chat.usage })],
    ['too long', JSON.stringify({ ...chat, padding: 'x'.repeat(1024 * 1024) })],
  ])('are unknown of an answer that is %s', (_what, text) => {
    expect(read('/v1/chat/completions', { 'content-type': whole }, [Buffer.from(text)])).toBeUndefined();
  });
});
