/** Prices and limits of deployments, from several places, the nearest first. */
import type { Deployment } from '../domain/deployment.ts';
import type { ModelCatalog, ModelFacts, ModelPrices, PriceList, UnitPrices } from '../domain/prices.ts';

type Groups = ReadonlyMap<string, readonly Deployment[]>;

/** One list of models from several; what an earlier one says wins. */
export const stackCatalogs = (...catalogs: readonly ModelCatalog[]): ModelCatalog => ({
  find: (name) =>
    catalogs
      .map((catalog) => catalog.find(name))
      .reduce<ModelFacts | undefined>((near, far) => (near === undefined ? far : mergeFacts(near, far)), undefined),
});

/** The deployment with what a catalog knows of its model; what its entry states stays. */
export function withFacts(deployment: Deployment, catalog: ModelCatalog): Deployment {
  const listed = deployment.listedAs === undefined ? undefined : catalog.find(deployment.listedAs);
  return listed === undefined ? deployment : { ...deployment, ...mergeFacts(statedOf(deployment), listed) };
}

export const groupsWithFacts = (groups: Groups, catalog: ModelCatalog): Groups =>
  new Map(
    [...groups].map(([group, deployments]) => [group, deployments.map((deployment) => withFacts(deployment, catalog))]),
  );

/** Deployments whose requests cost nobody knows what. A pattern's models are known when they are asked for. */
export const unpriced = (groups: Groups): Deployment[] =>
  [...groups.values()].flat().filter(({ prices, model }) => prices === undefined && !model.includes('*'));

const statedOf = ({ prices, maxInputTokens, maxOutputTokens }: Deployment): ModelFacts => ({
  ...(prices === undefined ? {} : { prices }),
  ...(maxInputTokens === undefined ? {} : { maxInputTokens }),
  ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
});

/**
 * What is stated nearer wins, member by member, with one exception: a detail (a cached token, a tier) never comes from
 * farther away than the price it is a detail of. Who says that a model costs nothing must not pay for cached tokens.
 */
export function mergeFacts(near: ModelFacts, far: ModelFacts | undefined): ModelFacts {
  if (far === undefined) return near;
  const prices = mergePrices(near.prices, far.prices);
  return { ...far, ...near, ...(prices === undefined ? {} : { prices }) };
}

const inputDetails = [
  'cacheReadCostPerToken',
  'cacheWriteCostPerToken',
  'hourCacheWriteCostPerToken',
  'inputAudioCostPerToken',
] as const;
const outputDetails = ['reasoningCostPerToken', 'outputAudioCostPerToken'] as const;

function mergePrices(near: ModelPrices | undefined, far: ModelPrices | undefined): ModelPrices | undefined {
  if (near === undefined || far === undefined) return near ?? far;
  const replaced = new Set<string>([
    ...Object.keys(near),
    ...(near.inputCostPerToken === undefined ? [] : inputDetails),
    ...(near.outputCostPerToken === undefined ? [] : outputDetails),
  ]);
  return {
    ...listWithout(far, replaced),
    // A period replaces everything, so what is stated nearer holds in it, too.
    ...(far.periods === undefined
      ? {}
      : {
          periods: far.periods.map(({ fromMs, daily, ...list }) => ({
            ...(fromMs === undefined ? {} : { fromMs }),
            ...(daily === undefined ? {} : { daily }),
            ...listWithout(list, replaced),
            ...near,
          })),
        }),
    ...near,
  };
}

function listWithout({ tiers, ...units }: PriceList, members: ReadonlySet<string>): PriceList {
  const left = (members.has('tiers') ? [] : (tiers ?? []))
    .map((tier) => ({ ...unitsWithout(tier, members), aboveTokens: tier.aboveTokens }))
    .filter((tier) => Object.keys(tier).length > 1);
  return { ...unitsWithout(units, members), ...(left.length === 0 ? {} : { tiers: left }) };
}

const unitsWithout = (units: UnitPrices, members: ReadonlySet<string>): UnitPrices =>
  Object.fromEntries(
    Object.entries(units).filter(([member, price]) => typeof price === 'number' && !members.has(member)),
  );
