/** Prices and limits of a config's models: looked up once, when the config is read. */
import { readFile } from 'node:fs/promises';
import type { ConfigFault } from './config/document.ts';
import type { LoadedConfig } from './config/load.ts';
import type { Deployment } from './domain/deployment.ts';
import type { ModelCatalog } from './domain/prices.ts';
import { CostMapError, readCostMap } from './pricing/cost-map.ts';
import { groupsWithFacts, stackCatalogs, unpriced } from './pricing/model-facts.ts';
import { loadPackageCatalog } from './pricing/package-catalog.ts';

/**
 * @param costMap file that goes before the one which the config names.
 * @throws CostMapError with every fault of that file.
 */
export async function addModelFacts({ config, warnings }: LoadedConfig, costMap?: string): Promise<LoadedConfig> {
  const path = costMap ?? config.modelCostMap;
  const own = path === undefined ? [] : [await readCostMapFile(path)];
  const catalog = stackCatalogs(...own, await loadPackageCatalog());
  const groups = groupsWithFacts(config.groups, catalog);
  return { config: { ...config, groups, catalog }, warnings: [...warnings, ...withoutPrice(unpriced(groups))] };
}

async function readCostMapFile(path: string): Promise<ModelCatalog> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new CostMapError(path, [
      `(file): cannot be read (${code}); name another with litellm_settings.model_cost_map or HOLDFAST_MODEL_COST_MAP`,
    ]);
  }
  return readCostMap(text, path);
}

/** Said once and together. */
function withoutPrice(deployments: readonly Deployment[]): ConfigFault[] {
  if (deployments.length === 0) return [];
  const names = deployments.map(({ id, modelGroup }) => `${modelGroup} (${id})`).join(', ');
  return [
    {
      path: 'model_list',
      line: undefined,
      message: `no price is known for ${names}: what they cost is recorded as unknown; write input_cost_per_token and output_cost_per_token (0 where it costs nothing), base_model, or litellm_settings.model_cost_map`,
    },
  ];
}
