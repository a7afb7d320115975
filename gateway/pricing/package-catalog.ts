/** The prices and limits that come with the gateway: dated data of two packages. Loaded when something is asked of it. */
import type { ConditionalPrice, ModelInfo, ModelPrice } from '@pydantic/genai-prices';
import type {
  ModelCatalog,
  ModelFacts,
  ModelPrices,
  PriceList,
  PricePeriod,
  PriceTier,
  UnitPrices,
} from '../domain/prices.ts';
import { forOne } from './exact.ts';
import { bedrockIdOf, packageProviders } from './names.ts';

const perMillion = 1e6;
const perThousand = 1e3;
const secondsPerHour = 3_600;

/** The package's members that are acted on; searches of the web and the like are billed by what an answer tells, which is not read. */
const members: Readonly<Record<string, { readonly as: keyof UnitPrices; readonly many: number }>> = {
  input_mtok: { as: 'inputCostPerToken', many: perMillion },
  output_mtok: { as: 'outputCostPerToken', many: perMillion },
  cache_read_mtok: { as: 'cacheReadCostPerToken', many: perMillion },
  cache_write_mtok: { as: 'cacheWriteCostPerToken', many: perMillion },
  cache_write_1h_mtok: { as: 'hourCacheWriteCostPerToken', many: perMillion },
  input_audio_mtok: { as: 'inputAudioCostPerToken', many: perMillion },
  output_audio_mtok: { as: 'outputAudioCostPerToken', many: perMillion },
  output_reasoning_mtok: { as: 'reasoningCostPerToken', many: perMillion },
  requests_kcount: { as: 'costPerRequest', many: perThousand },
};

/** @throws when a package cannot be loaded, which is a fault of the installation. */
export async function loadPackageCatalog(): Promise<ModelCatalog> {
  const [{ calcPrice }, specs] = await Promise.all([import('@pydantic/genai-prices'), import('gpt-tokenizer/models')]);
  const limits = new Map<string, ModelLimits>(
    Object.entries(specs).flatMap(([alias, spec]) => ('name' in spec ? [[alias, spec] as const] : [])),
  );
  return {
    find: (name) => {
      const providerId = packageProviders[name.provider];
      const model = name.provider === 'bedrock' ? bedrockIdOf(name.model) : name.model;
      // Nothing is calculated: this is how the package finds a model, aliases and sellers of other vendors' models included.
      const found = calcPrice(
        { input_tokens: 0, output_tokens: 0 },
        model,
        providerId === undefined ? {} : { providerId },
      );
      const isOpenAIs = providerId === 'openai' || providerId === 'azure';
      const facts = {
        ...(found === null ? {} : factsOf(found.model, Date.now())),
        ...(isOpenAIs ? limitsOf(limits.get(model.toLowerCase())) : {}),
      };
      return Object.keys(facts).length === 0 ? undefined : facts;
    },
  };
}

interface ModelLimits {
  readonly name: string;
  readonly max_input_tokens?: number;
  readonly max_output_tokens?: number;
}

function limitsOf(spec: ModelLimits | undefined): ModelFacts {
  return {
    ...(spec?.max_input_tokens === undefined ? {} : { maxInputTokens: spec.max_input_tokens }),
    ...(spec?.max_output_tokens === undefined ? {} : { maxOutputTokens: spec.max_output_tokens }),
  };
}

function factsOf(model: ModelInfo, nowMs: number): ModelFacts {
  const prices = pricesOf(model, nowMs);
  return {
    ...(prices === undefined ? {} : { prices }),
    ...(model.context_window === undefined ? {} : { maxInputTokens: model.context_window }),
  };
}

/** The prices of today, those of certain hours, and those that are known to come. */
function pricesOf(model: ModelInfo, nowMs: number): ModelPrices | undefined {
  const all = Array.isArray(model.prices) ? model.prices : [{ prices: model.prices }];
  const [first, ...changes] = all.map((period): PricePeriod | undefined => {
    const list = listOf(period.prices, model);
    return list === undefined ? undefined : { ...whenOf(period), ...list };
  });
  const today = changes.findLastIndex((change) => change?.fromMs !== undefined && change.fromMs <= nowMs);
  const { fromMs: _, ...base } = changes[today] ?? first ?? {};
  const periods = changes.slice(today + 1).filter((change) => change !== undefined);
  if (Object.keys(base).length === 0) return undefined;
  return { ...base, ...(periods.length === 0 ? {} : { periods }) };
}

/** Undefined when the package has a model, and no price that is acted on here. */
function listOf(prices: ModelPrice, model: ModelInfo): PriceList | undefined {
  const stated = Object.entries(prices);
  if (stated.length === 0) return isFree(model) ? free : undefined;
  const units: Record<string, number> = {};
  const tiers = new Map<number, Record<string, number>>();
  for (const [name, price] of stated) {
    const member = members[name];
    if (name.endsWith('audio_hours') && typeof price === 'number')
      units['costPerSecond'] = Number((price / secondsPerHour).toPrecision(12));
    if (member === undefined || price === undefined) continue;
    units[member.as] = forOne(typeof price === 'number' ? price : price.base, member.many);
    for (const tier of typeof price === 'number' ? [] : price.tiers) {
      tiers.set(tier.start, { ...tiers.get(tier.start), [member.as]: forOne(tier.price, member.many) });
    }
  }
  if (Object.keys(units).length === 0) return undefined;
  const sorted: PriceTier[] = [...tiers]
    .toSorted(([a], [b]) => a - b)
    .map(([aboveTokens, tier]) => ({ ...tier, aboveTokens }));
  return { ...units, ...(sorted.length === 0 ? {} : { tiers: sorted }) };
}

const free: PriceList = { inputCostPerToken: 0, outputCostPerToken: 0 };

/** The package writes no price both for what is free and for what it does not know; only a name can tell. */
const isFree = ({ id }: ModelInfo): boolean => id.endsWith(':free') || id === 'moderation';

function whenOf({ constraint }: ConditionalPrice): Pick<PricePeriod, 'fromMs' | 'daily'> {
  if (constraint === undefined) return {};
  if (constraint.type === 'start_date') return { fromMs: Date.parse(constraint.start_date) };
  return { daily: { fromSeconds: secondOf(constraint.start_time), toSeconds: secondOf(constraint.end_time) } };
}

/** `16:30:00Z` */
const secondOf = (time: string): number => (Date.parse(`1970-01-01T${time}`) / 1000 + 86_400) % 86_400;
