import { expect, it } from 'vitest';
import type { Ending, Usage } from '../../../gateway/domain/answer.ts';
import { usageSoFar } from '../../../gateway/pipeline/usage-so-far.ts';
import { exampleRequest } from '../examples.ts';

const chunks = (reported: Usage | undefined, unreported: number) => ({
  usage: () => reported,
  unreportedTokens: () => unreported,
});
const reported: Usage = { promptTokens: 100, completionTokens: 7, cachedPromptTokens: 90 };
const ask = (body: object = {}) => exampleRequest({ model: 'chat', messages: [], ...body });

it.each<[string, Ending, object, Usage | undefined, number, object]>([
  [
    'what the provider reported of an answer that ended is all',
    'finished',
    {},
    reported,
    50,
    { usage: reported, estimated: false },
  ],
  ['so it is when nothing came behind the report', 'broken', {}, reported, 0, { usage: reported, estimated: false }],
  [
    'what came behind a report is added to it',
    'broken',
    {},
    reported,
    50,
    { usage: { ...reported, completionTokens: 57 }, estimated: true },
  ],
  [
    'a client that left is billed like a stream that broke',
    'abandoned',
    {},
    reported,
    50,
    { usage: { ...reported, completionTokens: 57 }, estimated: true },
  ],
  [
    'never more than what was allowed',
    'broken',
    { max_tokens: 20 },
    reported,
    50,
    { usage: { ...reported, completionTokens: 20 }, estimated: true },
  ],
  [
    'for each choice',
    'broken',
    { max_tokens: 20, n: 3 },
    reported,
    90,
    { usage: { ...reported, completionTokens: 60 }, estimated: true },
  ],
  ['nor less than what was reported', 'broken', { max_tokens: 2 }, reported, 50, { usage: reported, estimated: true }],
  [
    'an answer that ended without a report is estimated, too',
    'finished',
    {},
    undefined,
    50,
    { usage: { completionTokens: 50 }, estimated: true },
  ],
])('%s', (_, ending, body, usage, unreported, expected) => {
  expect(usageSoFar(ending, ask(body), chunks(usage, unreported))).toMatchObject(expected);
});

it('the prompt is estimated from its text, and pictures by the piece', () => {
  const text = { type: 'text', text: 'x'.repeat(4_000) };
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${'x'.repeat(100_000)}` } };
  const promptOf = (...content: readonly object[]): number | undefined => {
    const body = { model: 'chat', messages: [{ role: 'user', content }] };
    return usageSoFar('broken', ask(body), chunks(undefined, 1)).usage?.promptTokens;
  };
  expect(promptOf(text)).toBeGreaterThan(1_000);
  expect(promptOf(text)).toBeLessThan(1_100);
  expect((promptOf(text, picture) ?? 0) - (promptOf(text) ?? 0)).toBeGreaterThan(900);
  expect((promptOf(text, picture) ?? 0) - (promptOf(text) ?? 0)).toBeLessThan(1_100);
});

it('streams that are no chat are billed by what the provider reports alone', () => {
  const request = { ...ask(), operation: 'speech' as const };
  expect(usageSoFar('broken', request, chunks(undefined, 50))).toEqual({ usage: undefined, estimated: false });
});
