/** The dearest prices of a deployment, at any hour and for any split of the tokens. Made once for each group. */
import type { Deployment } from '../domain/deployment.ts';
import type { ModelPrices, PriceList, UnitPrices } from '../domain/prices.ts';
import { tierFor } from './price-at.ts';

/** Millionths of a dollar for each; undefined = unknown. */
export interface CostBound {
  /** By the length of the prompt, the shortest first; the last one that the prompt reaches counts. */
  readonly steps: readonly BoundStep[];
  /** Whether it matters that input is kept in a cache for an hour. */
  readonly hasHourPrice: boolean;
  readonly request: number;
  readonly image: number | undefined;
  readonly character: number | undefined;
  readonly second: number | undefined;
  readonly query: number | undefined;
  /** Tokens of an answer whose request states none. */
  readonly outputTokens: number;
}

export interface BoundStep {
  readonly aboveTokens: number;
  readonly input: number | undefined;
  /** Input that is kept in a cache for an hour. */
  readonly hourInput: number | undefined;
  readonly soundInput: number | undefined;
  readonly output: number | undefined;
  readonly soundOutput: number | undefined;
}

/** @returns undefined when nobody knows the prices of one of them: it might be the dearest. */
export function boundsOf(
  deployments: readonly Deployment[],
  defaultOutputTokens: number,
): readonly CostBound[] | undefined {
  const bounds = new Map<string, CostBound>();
  for (const { prices, maxOutputTokens } of deployments) {
    if (prices === undefined) return undefined;
    const bound = boundOf(prices, maxOutputTokens ?? defaultOutputTokens);
    // Most deployments of a group have the same model.
    bounds.set(JSON.stringify(bound), bound);
  }
  return [...bounds.values()];
}

function boundOf(prices: ModelPrices, outputTokens: number): CostBound {
  const lists: readonly PriceList[] = [prices, ...(prices.periods ?? [])];
  const thresholds = [0, ...lists.flatMap(({ tiers }) => tiers?.map(({ aboveTokens }) => aboveTokens) ?? [])];
  const dearest = (member: keyof UnitPrices): number | undefined => micros(lists.map((list) => list[member]));
  // A longer prompt may pay less only by mistake, so each step is as dear as those before it.
  const steps = [...new Set(thresholds)].toSorted((a, b) => a - b).map((aboveTokens) => stepOf(lists, aboveTokens));
  return {
    steps,
    hasHourPrice: steps.some(({ input, hourInput }) => hourInput !== input),
    request: dearest('costPerRequest') ?? 0,
    image: dearest('costPerImage'),
    character: dearest('costPerCharacter'),
    second: dearest('costPerSecond'),
    query: dearest('costPerQuery'),
    outputTokens,
  };
}

function stepOf(lists: readonly PriceList[], aboveTokens: number): BoundStep {
  const reached = lists.flatMap((list): UnitPrices[] => [
    list,
    ...(list.tiers ?? []).filter((tier) => tier.aboveTokens <= aboveTokens).map((tier) => ({ ...list, ...tier })),
    { ...list, ...tierFor(list, aboveTokens + 1) },
  ]);
  /** Unknown where a list states none of the base price; otherwise the dearest of it and its details. */
  const dearest = (base: 'inputCostPerToken' | 'outputCostPerToken', ...details: (keyof UnitPrices)[]) =>
    lists.some((list) => list[base] === undefined)
      ? undefined
      : micros(reached.flatMap((prices) => [base, ...details].map((member) => prices[member])));
  return {
    aboveTokens,
    input: dearest('inputCostPerToken', 'cacheWriteCostPerToken'),
    hourInput: dearest('inputCostPerToken', 'cacheWriteCostPerToken', 'hourCacheWriteCostPerToken'),
    soundInput: dearest('inputCostPerToken', 'inputAudioCostPerToken'),
    output: dearest('outputCostPerToken', 'reasoningCostPerToken'),
    soundOutput: dearest('outputCostPerToken', 'reasoningCostPerToken', 'outputAudioCostPerToken'),
  };
}

function micros(prices: readonly (number | undefined)[]): number | undefined {
  const known = prices.filter((price) => price !== undefined);
  return known.length === 0 ? undefined : Math.max(...known) * 1e6;
}
