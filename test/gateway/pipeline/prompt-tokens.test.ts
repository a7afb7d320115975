import { expect, it } from 'vitest';
import { estimatePromptTokens } from '../../../gateway/pipeline/prompt-tokens.ts';
import { exampleRequest } from '../examples.ts';

const asking = (content: unknown) => exampleRequest({ model: 'chat', messages: [{ role: 'user', content }] });
const overhead = estimatePromptTokens(asking(''));

it('text counts a token for four bytes, whether it stands alone or in parts', () => {
  const text = 'word'.repeat(1_000);
  expect(estimatePromptTokens(asking(text))).toBe(overhead + 1_000);
  expect(estimatePromptTokens(asking([{ type: 'text', text }]))).toBeGreaterThanOrEqual(overhead + 1_000);
});

it.each<[string, unknown]>([
  ['an image', { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(400_000)}` } }],
  ['sound', { type: 'input_audio', input_audio: { data: 'A'.repeat(400_000), format: 'wav' } }],
  ['a file', { type: 'file', file: { filename: 'a.pdf', file_data: 'A'.repeat(400_000) } }],
])('the bytes of %s are no tokens: a picture does not overflow a context window', (_what, part) => {
  expect(estimatePromptTokens(asking([{ type: 'text', text: 'What is this?' }, part]))).toBeLessThan(100);
});

it.each<unknown>([undefined, null, 7, {}, [], [null], [{ content: [null, 7, 'text', { type: 'image_url' }] }]])(
  'messages of any form have at least one token: %j',
  (messages) => {
    expect(estimatePromptTokens(exampleRequest({ model: 'chat', messages }))).toBeGreaterThan(0);
  },
);

it('a part that is nested without end does not overflow the stack', () => {
  let part: object = { type: 'image_url', text: 'x' };
  for (let depth = 0; depth < 2_000; depth++) part = { type: 'image_url', nested: part };
  expect(estimatePromptTokens(asking([part]))).toBeGreaterThan(1);
});

it('a batch of embeddings is many prompts, none of which is compared with a window', () => {
  const input = Array.from({ length: 1_000 }, () => 'a text of some length');
  expect(estimatePromptTokens(exampleRequest({ model: 'chat', input }, { operation: 'embeddings' }))).toBe(0);
});
