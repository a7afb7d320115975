/** Prices of what is asked of a provider's raw API, where the answer alone tells which model was used. */
import type { Deployment } from '../domain/deployment.ts';
import type { PassedPrices, PassThroughEndpoint } from '../domain/pass-through.ts';
import type { ModelCatalog, ModelPrices } from '../domain/prices.ts';

/** Models are named by upstreams. */
const modelsKept = 200;

/** What of a configuration says what things cost. */
export interface PricedConfig {
  readonly groups: ReadonlyMap<string, readonly Deployment[]>;
  readonly catalog: ModelCatalog | undefined;
  readonly passThrough: readonly PassThroughEndpoint[];
}

/** By what the deployment that lends its key states of this very model, else by the lists. */
export function passedPrices({ groups, catalog, passThrough }: PricedConfig): PassedPrices {
  const deployments = [...groups.values()].flat();
  const routes = new Map(
    passThrough.flatMap(({ providerRoute }) =>
      providerRoute ? [[providerRoute.provider, providerRoute] as const] : [],
    ),
  );
  const known = new Map<string, ModelPrices | undefined>();
  const find: PassedPrices = (provider, model) => {
    const { deploymentId, listedAs } = routes.get(provider) ?? {};
    const lender = deployments.find(({ id }) => id === deploymentId);
    if (lender?.model === model && lender.prices !== undefined) return lender.prices;
    return listedAs === undefined ? undefined : catalog?.find({ provider: listedAs, model })?.prices;
  };
  return (provider, model) => {
    const name = `${provider}/${model}`;
    if (!known.has(name)) {
      if (known.size >= modelsKept) known.clear();
      known.set(name, find(provider, model));
    }
    return known.get(name);
  };
}
