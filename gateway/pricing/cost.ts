/** What a request cost, exact to the last digit of the prices. */
import type { Usage } from '../domain/answer.ts';
import type { ModelPrices, UnitPrices } from '../domain/prices.ts';
import { perMicro, scaled } from './exact.ts';
import { listAt, tierFor } from './price-at.ts';

/** What is billed besides tokens, as far as the request itself tells. */
export interface Billed {
  /** When the request came, wall clock, milliseconds; prices change with the day and the hour. */
  readonly atMs?: number;
  /** Images that were made. */
  readonly images?: number;
  /** Characters that were spoken. */
  readonly characters?: number;
  /** Searches of a rerank. */
  readonly queries?: number;
  /** Sound that was heard, milliseconds, as the provider tells it. */
  readonly heardMs?: number;
}

/** Millionths of a dollar, rounded up; null when tokens or prices are unknown. */
export function costMicros(
  usage: Usage | undefined,
  prices: ModelPrices | undefined,
  billed: Billed = {},
): bigint | null {
  if (prices === undefined) return null;
  const list = prices.periods === undefined ? prices : listAt(prices, billed.atMs ?? Date.now());
  const base = exactly(list);
  const tier = list.tiers === undefined ? base : { ...base, ...exactly(tierFor(list, usage?.promptTokens ?? 0)) };
  const units = costOfUnits(billed, tier);
  const tokens = usage === undefined ? costOfUnknown(tier) : costOfTokens(usage, tier);
  // Who is paid by the image need not tell tokens; who is paid by the token must.
  if (tokens === undefined && units === undefined) return null;
  const exact = (tokens ?? 0n) + (units ?? 0n) + (tier.costPerRequest ?? 0n);
  return (exact + perMicro - 1n) / perMicro;
}

/** Nobody counted the tokens, and nobody needs to where none of them costs anything. */
const costOfUnknown = ({ inputCostPerToken, outputCostPerToken }: ExactPrices): bigint | undefined =>
  inputCostPerToken === 0n && outputCostPerToken === 0n ? 0n : undefined;

/** Undefined when nothing of the request is billed by anything but tokens. */
function costOfUnits(billed: Billed, prices: ExactPrices): bigint | undefined {
  const parts = [
    product(billed.images, prices.costPerImage),
    product(billed.characters, prices.costPerCharacter),
    product(billed.queries, prices.costPerQuery),
    ofSeconds(product(billed.heardMs, prices.costPerSecond)),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : total(...parts);
}

const product = (count: number | undefined, price: bigint | undefined): bigint | undefined =>
  count === undefined || price === undefined ? undefined : BigInt(count) * price;

/** Of milliseconds at the price of a second; rounded up far below what any price states. */
const ofSeconds = (exact: bigint | undefined): bigint | undefined =>
  exact === undefined ? undefined : (exact + 999n) / 1_000n;

/** Parts of the totals have prices of their own; what a provider reports beyond its totals costs as reported. */
function costOfTokens(usage: Usage, prices: ExactPrices): bigint | undefined {
  const { cachedPromptTokens: cached = 0, cacheWriteTokens: written = 0, audioPromptTokens: heard = 0 } = usage;
  const { hourCacheWriteTokens: hour = 0, reasoningTokens: reasoned = 0, audioCompletionTokens: spoken = 0 } = usage;
  const { inputCostPerToken: input, outputCostPerToken: output } = prices;
  const write = prices.cacheWriteCostPerToken ?? input;
  return total(
    costOf(usage.promptTokens - cached - written - heard, input),
    costOf(cached, prices.cacheReadCostPerToken ?? input),
    costOf(written - hour, write),
    costOf(hour, prices.hourCacheWriteCostPerToken ?? write),
    costOf(heard, prices.inputAudioCostPerToken ?? input),
    costOf(usage.completionTokens - reasoned - spoken, output),
    costOf(reasoned, prices.reasoningCostPerToken ?? output),
    costOf(spoken, prices.outputAudioCostPerToken ?? output),
  );
}

/** Tokens that were not used cost nothing, whatever their price; used ones without a price cost nobody knows what. */
function costOf(tokens: number, price: bigint | undefined): bigint | undefined {
  if (tokens <= 0) return 0n;
  return price === undefined ? undefined : BigInt(tokens) * price;
}

function total(...parts: readonly (bigint | undefined)[]): bigint | undefined {
  let sum = 0n;
  for (const part of parts) {
    if (part === undefined) return undefined;
    sum += part;
  }
  return sum;
}

type ExactPrices = { readonly [member in keyof UnitPrices]?: bigint };

/** There are as many lists as the configuration has, and each is turned into whole numbers once. */
const exactLists = new WeakMap<UnitPrices, ExactPrices>();

function exactly(prices: UnitPrices): ExactPrices {
  let exact = exactLists.get(prices);
  if (exact === undefined) {
    exact = Object.fromEntries(
      Object.entries(prices).flatMap(([member, price]) =>
        typeof price === 'number' ? [[member, scaled(price)] as const] : [],
      ),
    );
    exactLists.set(prices, exact);
  }
  return exact;
}
