/** What a row of the ledger would have cost, by what is known of prices now. */
import type { Deployment } from '../domain/deployment.ts';
import type { ModelCatalog, ModelPrices, PriceList, UnitPrices } from '../domain/prices.ts';
import type { PriceEntry, UnpricedEntry } from '../domain/repricing.ts';
import { costMicros } from './cost.ts';

/** Prices of what a row does not count: images, characters, seconds, searches. */
const uncounted = ['costPerImage', 'costPerCharacter', 'costPerSecond', 'costPerQuery'] as const;

/**
 * By the deployment that answered as it is configured today, or, since an entry that was changed has another id, by one of
 * the same model in the same group. Nobody else's prices are taken: anybody may have been behind an address. A row whose
 * price is for something that it does not count stays without a cost: too little would be as silent as 0.
 */
export function entryPricer(
  groups: ReadonlyMap<string, readonly Deployment[]>,
  catalog: ModelCatalog | undefined,
): PriceEntry {
  const all = [...groups.values()].flat();
  const byId = new Map(all.map((deployment) => [deployment.id, deployment] as const));
  const heirOf = ({ modelGroup, provider, model }: UnpricedEntry): Deployment | undefined =>
    all.find((one) => one.modelGroup === modelGroup && one.provider === provider && one.model === model);
  const pricesOf = (entry: UnpricedEntry): ModelPrices | undefined => {
    const deployment = (entry.deploymentId === null ? undefined : byId.get(entry.deploymentId)) ?? heirOf(entry);
    if (deployment?.prices !== undefined) return deployment.prices;
    // A pattern's models are known one by one.
    if (deployment?.listedAs === undefined || entry.model === null) return undefined;
    return catalog?.find({ ...deployment.listedAs, model: entry.model })?.prices;
  };
  return (entry) => {
    const prices = pricesOf(entry);
    if (prices === undefined || entry.promptTokens === null || entry.completionTokens === null) return null;
    if ([prices, ...(prices.periods ?? [])].some(isForUncounted)) return null;
    const { promptTokens, completionTokens, cachedTokens } = entry;
    const usage = {
      promptTokens,
      completionTokens,
      ...(cachedTokens === null ? {} : { cachedPromptTokens: cachedTokens }),
    };
    return costMicros(usage, prices, { atMs: entry.atMs });
  };
}

const isForUncounted = (list: PriceList): boolean =>
  [list, ...(list.tiers ?? [])].some((prices: UnitPrices) => uncounted.some((member) => prices[member] !== undefined));
