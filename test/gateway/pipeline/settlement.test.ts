import { describe, expect, it } from 'vitest';
import type { Ending } from '../../../gateway/domain/answer.ts';
import type { SpendEvent } from '../../../gateway/domain/spend.ts';
import { intentOf, Settlement } from '../../../gateway/pipeline/settlement.ts';
import { exampleCaller, exampleDeployment, exampleRequest, noReservation } from '../examples.ts';

const prices = { inputCostPerToken: 0.0000025, outputCostPerToken: 0.00001 };

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
    for (const ending of endings) settlement.settle(ending, 200, { usage: { promptTokens: 4, completionTokens: 2 } });
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
