/** LiteLLM's names for prices and limits, in its price map as well as in an entry of `model_list`. */
import type { ModelFacts, ModelPrices, PriceTier, UnitPrices } from '../domain/prices.ts';

const unitMembers = {
  input_cost_per_token: 'inputCostPerToken',
  output_cost_per_token: 'outputCostPerToken',
  cache_read_input_token_cost: 'cacheReadCostPerToken',
  cache_creation_input_token_cost: 'cacheWriteCostPerToken',
  cache_creation_input_token_cost_above_1hr: 'hourCacheWriteCostPerToken',
  input_cost_per_audio_token: 'inputAudioCostPerToken',
  output_cost_per_audio_token: 'outputAudioCostPerToken',
  output_cost_per_reasoning_token: 'reasoningCostPerToken',
  input_cost_per_request: 'costPerRequest',
  input_cost_per_image: 'costPerImage',
  output_cost_per_image: 'costPerImage',
  input_cost_per_character: 'costPerCharacter',
  input_cost_per_second: 'costPerSecond',
  input_cost_per_query: 'costPerQuery',
} as const satisfies Readonly<Record<string, keyof UnitPrices>>;

/** `input_cost_per_token_above_200k_tokens`. */
const tierMember = /^(\w+?)_above_(\d+)k_tokens$/;

const isUnitMember = (name: string): name is keyof typeof unitMembers => Object.hasOwn(unitMembers, name);

/** Whether a member states a price; what it holds must then be a number. */
export const isPriceMember = (name: string): boolean =>
  isUnitMember(name) || isUnitMember(tierMember.exec(name)?.[1] ?? '');

/** @param stated members of an entry; those that are no prices, or no numbers, are not looked at. */
export function readPrices(stated: Readonly<Record<string, unknown>>): ModelPrices | undefined {
  const units: Record<string, number> = {};
  const tiers = new Map<number, Record<string, number>>();
  for (const [name, price] of Object.entries(stated)) {
    if (typeof price !== 'number') continue;
    if (isUnitMember(name)) {
      units[unitMembers[name]] = price;
      continue;
    }
    const [, member = '', thousands] = tierMember.exec(name) ?? [];
    if (!isUnitMember(member)) continue;
    const aboveTokens = Number(thousands) * 1000;
    tiers.set(aboveTokens, { ...tiers.get(aboveTokens), [unitMembers[member]]: price });
  }
  if (Object.keys(units).length === 0 && tiers.size === 0) return undefined;
  const sorted: PriceTier[] = [...tiers]
    .toSorted(([a], [b]) => a - b)
    .map(([aboveTokens, prices]) => ({ ...prices, aboveTokens }));
  return { ...units, ...(sorted.length === 0 ? {} : { tiers: sorted }) };
}

/** Prices and limits of one model of LiteLLM's map. */
export function readFacts(entry: Readonly<Record<string, unknown>>): ModelFacts {
  const prices = readPrices(entry);
  const maxInputTokens = count(entry['max_input_tokens']);
  // Before there were two limits, `max_tokens` was the one of the answer.
  const isEmbedding = entry['mode'] === 'embedding' || entry['mode'] === 'rerank';
  const maxOutputTokens = count(entry['max_output_tokens']) ?? (isEmbedding ? undefined : count(entry['max_tokens']));
  return {
    ...(prices === undefined ? {} : { prices }),
    ...(maxInputTokens === undefined ? {} : { maxInputTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
}

const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined;
