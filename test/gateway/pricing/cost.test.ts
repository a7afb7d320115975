import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelPrices } from '../../../gateway/domain/prices.ts';
import { billedFor } from '../../../gateway/pricing/billed.ts';
import { costMicros } from '../../../gateway/pricing/cost.ts';
import { exampleRequest } from '../examples.ts';

const prices = { inputCostPerToken: 0.0000025, outputCostPerToken: 0.00001 };

describe('the cost of an answer', () => {
  it('is exact for every price of up to twelve decimals and every number of tokens, rounded up to a millionth', () => {
    const tokens = fc.integer({ min: 0, max: 50_000_000 });
    // Prices in trillionths of a dollar; those that people write are round, and only round sums show a wrong last digit.
    const trillionths = fc.oneof(
      fc.integer({ min: 0, max: 2_000_000_000 }),
      fc.integer({ min: 0, max: 2_000 }).map((tenMillionths) => tenMillionths * 100_000),
    );
    fc.assert(
      fc.property(tokens, tokens, trillionths, trillionths, (promptTokens, completionTokens, input, output) => {
        const cost = costMicros(
          { promptTokens, completionTokens },
          { inputCostPerToken: Number(`${input}e-12`), outputCostPerToken: Number(`${output}e-12`) },
        );
        const exact = BigInt(promptTokens) * BigInt(input) + BigInt(completionTokens) * BigInt(output);
        expect(cost).toBe((exact + 999_999n) / 1_000_000n);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    [1_000_000, 0, 2_500_000n],
    [1, 0, 3n],
    [0, 1, 10n],
    [0, 0, 0n],
    [4_920_000, 0, 12_300_000n],
  ])('%d prompt and %d completion tokens of GPT-4o cost %d millionths', (promptTokens, completionTokens, cost) => {
    expect(costMicros({ promptTokens, completionTokens }, prices)).toBe(cost);
  });

  it('is unknown, and not 0, without prices or without token counts', () => {
    expect(costMicros({ promptTokens: 1, completionTokens: 1 }, undefined)).toBeNull();
    expect(costMicros(undefined, prices)).toBeNull();
  });

  it('is 0 for a model that costs nothing', () => {
    const free = { inputCostPerToken: 0, outputCostPerToken: 0 };
    expect(costMicros({ promptTokens: 5, completionTokens: 5 }, free)).toBe(0n);
  });
});

describe('tokens with prices of their own', () => {
  /** Claude Sonnet 4.5's, whose prices double for prompts of more than 200,000 tokens. */
  const sonnet: ModelPrices = {
    inputCostPerToken: 0.000003,
    outputCostPerToken: 0.000015,
    cacheReadCostPerToken: 0.0000003,
    cacheWriteCostPerToken: 0.00000375,
    hourCacheWriteCostPerToken: 0.000006,
    tiers: [
      {
        aboveTokens: 200_000,
        inputCostPerToken: 0.000006,
        outputCostPerToken: 0.0000225,
        cacheReadCostPerToken: 0.0000006,
      },
    ],
  };

  it('a cached prompt is charged at the price of cached tokens, and only its rest at the full price', () => {
    // 1,000 plain, 8,000 read, 1,000 written: 3,000 + 2,400 + 3,750 millionths, and 1,500 for the answer.
    const usage = { promptTokens: 10_000, completionTokens: 100, cachedPromptTokens: 8_000, cacheWriteTokens: 1_000 };
    expect(costMicros(usage, sonnet)).toBe(10_650n);
  });

  it('what is kept in the cache for an hour has its own price', () => {
    const usage = { promptTokens: 1_000, completionTokens: 0, cacheWriteTokens: 1_000, hourCacheWriteTokens: 400 };
    expect(costMicros(usage, sonnet)).toBe(2_250n + 2_400n);
  });

  it('a prompt beyond a tier pays the price of the tier for all of its tokens, and one at its edge does not', () => {
    expect(costMicros({ promptTokens: 200_000, completionTokens: 1_000 }, sonnet)).toBe(600_000n + 15_000n);
    expect(costMicros({ promptTokens: 200_001, completionTokens: 1_000 }, sonnet)).toBe(1_200_006n + 22_500n);
    // The tier states no price of cache writes: it stays.
    const written = { promptTokens: 300_000, completionTokens: 0, cacheWriteTokens: 300_000 };
    expect(costMicros(written, sonnet)).toBe(1_125_000n);
  });

  it('without prices of their own cached, written and reasoning tokens cost what others do', () => {
    const usage = {
      promptTokens: 1_000,
      completionTokens: 1_000,
      cachedPromptTokens: 300,
      cacheWriteTokens: 300,
      hourCacheWriteTokens: 100,
      reasoningTokens: 900,
    };
    expect(costMicros(usage, prices)).toBe(costMicros({ promptTokens: 1_000, completionTokens: 1_000 }, prices));
  });

  it('sound and reasoning have their prices', () => {
    const usage = {
      promptTokens: 100,
      audioPromptTokens: 60,
      completionTokens: 100,
      reasoningTokens: 10,
      audioCompletionTokens: 50,
    };
    const own: ModelPrices = {
      inputCostPerToken: 0.000001,
      inputAudioCostPerToken: 0.00004,
      outputCostPerToken: 0.000002,
      reasoningCostPerToken: 0.000003,
      outputAudioCostPerToken: 0.00008,
    };
    expect(costMicros(usage, own)).toBe(40n + 2_400n + 80n + 30n + 4_000n);
  });

  it('no split of the same tokens costs less than nothing or more than all of them at the dearest price', () => {
    const part = fc.integer({ min: 0, max: 5_000 });
    fc.assert(
      fc.property(part, part, part, part, part, (plain, cached, written, hour, output) => {
        const usage = {
          promptTokens: plain + cached + written,
          completionTokens: output,
          cachedPromptTokens: cached,
          cacheWriteTokens: written,
          hourCacheWriteTokens: Math.min(hour, written),
        };
        const cost = costMicros(usage, sonnet);
        expect(cost).not.toBeNull();
        expect(Number(cost)).toBeGreaterThanOrEqual(Math.floor(usage.promptTokens * 0.3 + output * 15));
        expect(Number(cost)).toBeLessThanOrEqual(Math.ceil(usage.promptTokens * 6 + output * 15));
      }),
    );
  });
});

describe('prices that change', () => {
  /** DeepSeek's: cheaper at night; dearer from a day on. */
  const changing: ModelPrices = {
    ...prices,
    periods: [
      { fromMs: Date.UTC(2027, 0, 1), inputCostPerToken: 0.000005, outputCostPerToken: 0.00001 },
      { daily: { fromSeconds: 79_200, toSeconds: 3_600 }, inputCostPerToken: 0.000001, outputCostPerToken: 0.00001 },
    ],
  };
  const thousand = { promptTokens: 1_000, completionTokens: 0 };

  it.each([
    ['before', Date.UTC(2026, 11, 31, 12), 2_500n],
    ['after a change of the list', Date.UTC(2027, 0, 1, 12), 5_000n],
    ['at night', Date.UTC(2026, 5, 1, 23), 1_000n],
    ['at night, behind midnight', Date.UTC(2027, 5, 1, 0, 59, 59), 1_000n],
    ['when the night is over', Date.UTC(2026, 5, 1, 1), 2_500n],
  ])('a request costs what was the price when it came: %s', (_when, atMs, cost) => {
    expect(costMicros(thousand, changing, { atMs })).toBe(cost);
  });
});

describe('what is not paid by the token', () => {
  it('three images cost three times the price of one', () => {
    const request = exampleRequest({ model: 'chat', prompt: 'A house', n: 3 }, { operation: 'images' });
    expect(costMicros(undefined, { costPerImage: 0.04 }, billedFor(request))).toBe(120_000n);
  });

  it('speech costs by the character, a rerank by the hundred documents', () => {
    const speech = exampleRequest({ model: 'chat', input: 'a'.repeat(1_000) }, { operation: 'speech' });
    expect(costMicros(undefined, { costPerCharacter: 0.000015 }, billedFor(speech))).toBe(15_000n);
    const documents = Array.from({ length: 101 }, () => 'text');
    const rerank = exampleRequest({ model: 'chat', query: 'q', documents }, { operation: 'rerank' });
    expect(costMicros(undefined, { costPerQuery: 0.002 }, billedFor(rerank))).toBe(4_000n);
  });

  it('a price for each request is added to that of its tokens', () => {
    expect(costMicros({ promptTokens: 1_000, completionTokens: 0 }, { ...prices, costPerRequest: 0.005 })).toBe(7_500n);
  });

  it('a chat with a model that is paid by the image has an unknown cost, not 0', () => {
    expect(costMicros(undefined, { costPerImage: 0.04 }, billedFor(exampleRequest()))).toBeNull();
  });

  it('a model that is stated to cost nothing costs nothing even when nobody counted its tokens', () => {
    expect(costMicros(undefined, { inputCostPerToken: 0, outputCostPerToken: 0 })).toBe(0n);
    expect(costMicros(undefined, prices)).toBeNull();
  });
});
