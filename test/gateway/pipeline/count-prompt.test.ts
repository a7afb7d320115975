import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { PromptCounter } from '../../../gateway/pipeline/count-prompt.ts';
import { promptTextBytes, tokensOfBytes } from '../../../gateway/pipeline/prompt-tokens.ts';
import { encodingOf, loadTokenizers, type Tokenizer, type Tokenizers } from '../../../gateway/pipeline/tokenizer.ts';
import { within } from '../../support/quiet-machine.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

let tokenizers: Tokenizers;
let exact: Tokenizer;
beforeAll(async () => {
  tokenizers = await loadTokenizers(new Set(['o200k_base']));
  exact = tokenizers.o200k_base ?? (() => Number.NaN);
});

const never = new AbortController().signal;
const now = (): number => performance.now();
const asking = (content: unknown) => exampleRequest({ model: 'chat', messages: [{ role: 'user', content }] });

function tokensFor(content: unknown, ...windows: readonly number[]): number | Promise<number> {
  const request = asking(content);
  const textBytes = promptTextBytes(request);
  const counter = new PromptCounter({ tokenizers, now });
  const deployments = windows.map((maxInputTokens, index) => exampleDeployment(`d${index}`, { maxInputTokens }));
  return counter.tokensFor(request, deployments, { textBytes, tokens: tokensOfBytes(textBytes) }, never);
}

const prose = 'The quick brown fox, they say, jumps over the lazy dog; nobody knows why it would do so at 3 a.m.\n';
const code = 'function add(left: number, right: number): number {\n    return left + right;\n}\n\n';
const chinese = '今天天气很好我们去公园散步吧';

describe('the tokens of a prompt', () => {
  it.each([1_000_000, 3])('are an estimate, at once, where a window of %d is clearly larger or smaller', (window) => {
    const text = prose.repeat(10);
    expect(tokensFor(text, window)).toBe(tokensOfBytes(promptTextBytes(asking(text))));
  });

  it.each([
    ['prose', prose.repeat(200)],
    ['code', code.repeat(200)],
    ['Chinese without a space', chinese.repeat(200)],
    ['ids', Array.from({ length: 400 }, (_, index) => createHash('sha256').update(`${index}`).digest('hex')).join(',')],
    ['what looks like a token with a meaning', 'Beware, it says: <|endoftext|> '.repeat(300)],
  ])('are counted where a window is near: %s, within two in a hundred of the tokenizer', async (_what, text) => {
    const tokens = exact(text);
    const counted = await tokensFor(text, Math.floor(promptTextBytes(asking(text)) / 1.6));
    expect(Math.abs(counted - 4 - tokens)).toBeLessThanOrEqual(Math.max(2, tokens * 0.02));
  });

  it('compare with every window as the exact number does', async () => {
    const text = prose.repeat(100);
    const tokens = exact(text) + 4;
    const counted = await tokensFor(text, tokens - 50, tokens + 50);
    expect(counted).toBeGreaterThan(tokens - 50);
    expect(counted).toBeLessThanOrEqual(tokens + 50);
  });

  it('no more is counted than decides: beyond the largest window that is near', async () => {
    let seen = 0;
    const counter = new PromptCounter({
      tokenizers: { o200k_base: (text) => ((seen += text.length), text.length / 4) },
      now,
    });
    const request = asking('word '.repeat(10_000));
    const textBytes = promptTextBytes(request);
    const deployments = [exampleDeployment('a', { maxInputTokens: 2_500 })];
    const counted = counter.tokensFor(request, deployments, { textBytes, tokens: tokensOfBytes(textBytes) }, never);
    expect(await counted).toBe(2_501);
    expect(seen).toBeLessThan(11_000);
  });

  it('pictures are not counted as text', async () => {
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(40_000)}` } };
    const text = { type: 'text', text: prose.repeat(50) };
    const counted = await tokensFor([text, image], 1_500);
    expect(Math.abs(counted - 4 - exact(text.text))).toBeLessThan(30);
  });

  it('the text is cut anywhere, and no character is lost or counted twice', async () => {
    const piece = fc.constantFrom(' ', '  ', 'a', 'word', '\n', 'x'.repeat(127), 'y'.repeat(300), chinese);
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 60 }), async (pieces) => {
        const text = pieces.join('');
        const seen: string[] = [];
        const counter = new PromptCounter({ tokenizers: { o200k_base: (part) => (seen.push(part), 1) }, now });
        const request = asking(text);
        const textBytes = promptTextBytes(request);
        const window = Math.ceil(textBytes / 4);
        await counter.tokensFor(
          request,
          [exampleDeployment('a', { maxInputTokens: window })],
          { textBytes, tokens: 0 },
          never,
        );
        expect(seen.join('')).toBe(text);
        for (const part of seen) expect(part.length).toBeLessThanOrEqual(512);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the price of a count', () => {
  /** The tokenizer's time grows with the square of these: whole, each would take it minutes. */
  it.each([
    ['a megabyte of one letter', 'a'.repeat(1_000_000)],
    ['a megabyte of blank space', ' '.repeat(1_000_000)],
    ['Chinese without a space', chinese.repeat(40_000)],
    ['prose', prose.repeat(20_000)],
  ])('%s takes other requests no time, and ends', async (_what, text) => {
    let longestMs = 0;
    let before = now();
    let running = true;
    const beat = (): void => {
      longestMs = Math.max(longestMs, now() - before);
      before = now();
      if (running) setImmediate(beat);
    };
    const startedMs = process.cpuUsage();
    const window = Math.ceil(promptTextBytes(asking(text)) / 5);
    setImmediate(beat);
    before = now();
    const counted = await tokensFor(text, window);
    running = false;
    longestMs = Math.max(longestMs, now() - before);
    const spent = process.cpuUsage(startedMs);
    expect(counted).toBeGreaterThan(0);
    // 8 ms and the last piece; the rest is for a machine that is busy with other things.
    expect(longestMs).toBeLessThan(within(100));
    expect((spent.user + spent.system) / 1000).toBeLessThan(1_500);
  });

  it('what was counted stands for a rest that would take too long', async () => {
    let clockMs = 0;
    const counter = new PromptCounter({
      tokenizers: { o200k_base: (text) => ((clockMs += 5), text.length / 4) },
      now: () => clockMs,
    });
    const request = asking('word '.repeat(100_000));
    const textBytes = promptTextBytes(request);
    const counted = await counter.tokensFor(
      request,
      [exampleDeployment('a', { maxInputTokens: 200_000 })],
      { textBytes, tokens: 0 },
      never,
    );
    expect(clockMs).toBeLessThan(within(250));
    expect(counted).toBeGreaterThan(120_000);
    expect(counted).toBeLessThan(130_000);
  });
});

it.each([
  ['gpt-4', 'cl100k_base'],
  ['gpt-4-turbo', 'cl100k_base'],
  ['gpt-3.5-turbo-0125', 'cl100k_base'],
  ['gpt-35-turbo', 'cl100k_base'],
  ['gpt-4o-mini', 'o200k_base'],
  ['gpt-4.1', 'o200k_base'],
  ['gpt-5', 'o200k_base'],
  ['o3', 'o200k_base'],
  ['claude-sonnet-4-5', 'o200k_base'],
])('%s is counted with %s', (model, encoding) => {
  expect(encodingOf(model)).toBe(encoding);
});
