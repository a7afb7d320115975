import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ending } from '../../../gateway/domain/answer.ts';
import type { SpendEvent } from '../../../gateway/domain/spend.ts';
import { costMicros, intentOf, Settlement } from '../../../gateway/pipeline/settlement.ts';
import { exampleCaller, exampleDeployment, exampleRequest, noReservation } from '../examples.ts';

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

describe('a settlement', () => {
  const settle = (...endings: readonly Ending[]): SpendEvent[] => {
    const events: SpendEvent[] = [];
    const settlement = new Settlement(
      {
        request: exampleRequest(),
        intent: intentOf(exampleRequest(), exampleCaller, noReservation),
        deployment: exampleDeployment('deployment-0', { prices }),
        attempts: 2,
        fallbacks: 1,
      },
      (event) => events.push(event),
    );
    for (const ending of endings) settlement.settle(ending, 200, { promptTokens: 4, completionTokens: 2 });
    return events;
  };

  it('is told once, by the first ending', () => {
    const events = settle('broken', 'finished', 'abandoned');
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ ending: 'broken', attempts: 2, fallbacks: 1, costMicros: 30n, promptTokens: 4 });
  });

  it.each<[Ending, bigint]>([
    ['finished', 30n],
    ['broken', 30n],
    ['abandoned', 30n],
    ['failed', 0n],
  ])('%s: costs %d millionths', (ending, cost) => {
    expect(settle(ending)[0]?.costMicros).toBe(cost);
  });

  it('of a request that reached no deployment names the group that was asked for', () => {
    const events: SpendEvent[] = [];
    const facts = {
      request: exampleRequest(),
      intent: intentOf(exampleRequest(), exampleCaller, noReservation),
      deployment: undefined,
      attempts: 0,
      fallbacks: 0,
    };
    new Settlement(facts, (event) => events.push(event)).settle('failed', 429, undefined);
    expect(events[0]).toMatchObject({ modelGroup: 'chat', deploymentId: null, provider: null, promptTokens: null });
    expect(events[0]?.durationMs).toBeGreaterThanOrEqual(0);
  });
});
