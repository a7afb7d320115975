/** What a row of the ledger would have cost, by what is known of prices now. */
import type { Deployment } from '../domain/deployment.ts';
import type { ModelPrices, UnitPrices } from '../domain/prices.ts';
import type { PriceEntry, UnpricedEntry } from '../domain/repricing.ts';
import { costMicros } from './cost.ts';
import { type PricedConfig, passedPrices } from './passed-prices.ts';
import { usageOf } from './usage-detail.ts';

/** What requests are billed for besides tokens, whatever their answer says. */
const unitOf: Readonly<Record<string, keyof UnitPrices>> = {
  images: 'costPerImage',
  speech: 'costPerCharacter',
  rerank: 'costPerQuery',
};

/**
 * By the deployment that answered as it is configured today, or, since an entry that was changed has another id, by one of
 * the same model in the same group. Nobody else's prices are taken: anybody may have been behind an address. The cost is what
 * the gateway would have booked by these prices. A row of an older gateway that did not count what the price is for stays
 * without one: too little would be as silent as 0. What was passed on to a provider's raw API has prices of its own.
 */
export function entryPricer(config: PricedConfig): PriceEntry {
  const { groups, catalog } = config;
  const passed = passedPrices(config);
  const all = [...groups.values()].flat();
  const byId = new Map(all.map((deployment) => [deployment.id, deployment] as const));
  const heirOf = ({ modelGroup, provider, model }: UnpricedEntry): Deployment | undefined =>
    all.find((one) => one.modelGroup === modelGroup && one.provider === provider && one.model === model);
  const pricesOf = (entry: UnpricedEntry): ModelPrices | undefined => {
    if (entry.operation === 'pass-through')
      return entry.provider === null || entry.model === null ? undefined : passed(entry.provider, entry.model);
    const deployment = (entry.deploymentId === null ? undefined : byId.get(entry.deploymentId)) ?? heirOf(entry);
    if (deployment?.prices !== undefined) return deployment.prices;
    // A pattern's models are known one by one.
    if (deployment?.listedAs === undefined || entry.model === null) return undefined;
    return catalog?.find({ ...deployment.listedAs, model: entry.model })?.prices;
  };
  return (entry) => {
    const prices = pricesOf(entry);
    if (prices === undefined || entry.usageDetail === undefined) return null;
    if (entry.usageDetail === null && isForUncounted(entry, prices)) return null;
    const { usage, billed } = usageOf(entry);
    return costMicros(usage, prices, billed);
  };
}

function isForUncounted({ operation }: UnpricedEntry, prices: ModelPrices): boolean {
  const unit = unitOf[operation ?? ''];
  if (unit === undefined) return false;
  return [prices, ...(prices.periods ?? [])].some((list) =>
    [list, ...(list.tiers ?? [])].some((one) => one[unit] !== undefined),
  );
}
