/** Deployments that were made over the API, as entries of `model_list`. */
import type { ConfigFault } from './config/document.ts';
import { ConfigError, type LoadedConfig, type LoadOptions, loadConfig } from './config/load.ts';
import type { StoredModel } from './stores/model-definitions.ts';
import { secretSeal } from './stores/secret-seal.ts';

const sealedPrefix = 'sealed:';

/** An entry, with its secrets opened. @throws when a secret was sealed with another salt key. */
export function toModelEntry(model: StoredModel, saltKey: string | undefined): Record<string, unknown> {
  const open = saltKey === undefined ? undefined : secretSeal(saltKey).open;
  return {
    model_name: model.modelName,
    litellm_params: opened(model.params, open),
    model_info: { ...model.info, id: model.modelId },
  };
}

function opened(params: Readonly<Record<string, unknown>>, open: ((sealed: string) => string) | undefined): object {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      if (typeof value === 'string' && value.startsWith(sealedPrefix)) {
        if (open === undefined) throw new Error(`${name} is sealed, and LITELLM_SALT_KEY is not set`);
        return [name, open(value.slice(sealedPrefix.length))];
      }
      const isBlock = typeof value === 'object' && value !== null && !Array.isArray(value);
      return [name, isBlock ? opened(Object.fromEntries(Object.entries(value)), open) : value];
    }),
  );
}

const tries = 5;

/**
 * Loads a text together with deployments that were made over the API. One of those that cannot be used is left out with
 * a warning: it must not keep everything else from changing.
 * @throws ConfigError for faults of the text itself.
 */
export function loadWithModels(
  text: string,
  options: LoadOptions,
  models: readonly StoredModel[],
  saltKey: string | undefined,
): LoadedConfig {
  const warnings: string[] = [];
  let entries: { readonly modelId: string; readonly entry: unknown }[] = [];
  for (const model of models) {
    try {
      entries.push({ modelId: model.modelId, entry: toModelEntry(model, saltKey) });
    } catch (error) {
      warnings.push(`${model.modelId}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const loaded = loadConfig(text, { ...options, moreModels: entries.map(({ entry }) => entry) });
      return { ...loaded, warnings: [...loaded.warnings, ...warnings.map(leftOut)] };
    } catch (error) {
      if (!(error instanceof ConfigError) || entries.length === 0) throw error;
      const faulty = error.faults.filter(({ added }) => added !== undefined);
      if (faulty.length === 0 || attempt === tries) throw error;
      for (const fault of faulty) warnings.push(`${entries[fault.added ?? -1]?.modelId}: ${inEntry(fault)}`);
      entries = entries.filter((_, index) => !faulty.some(({ added }) => added === index));
    }
  }
}

/** One that can be called, so that a deployment which is only left out is no fault. */
const beside = 'model_list: [{model_name: beside, litellm_params: {model: openai/beside, api_key: none}}]';

/**
 * What keeps a deployment from being called, whatever else is configured.
 * @returns nothing for one that only waits for a variable to be set.
 */
export function faultsOfModel(
  model: StoredModel,
  options: LoadOptions,
  saltKey: string | undefined,
): readonly string[] {
  try {
    loadConfig(beside, { ...options, moreModels: [toModelEntry(model, saltKey)] });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) return [error instanceof Error ? error.message : String(error)];
    return error.faults.filter(({ added }) => added !== undefined).map(inEntry);
  }
}

/** A fault of an entry, without the place of the entry among others. */
function inEntry({ path, message }: ConfigFault): string {
  const within = path.replace(/^model_list\[\d+\]\.?/, '');
  return within === '' ? message : `${within}: ${message}`;
}

const leftOut = (message: string) => ({
  path: 'model_list',
  line: undefined,
  message: `a deployment that was made over the API is left out: ${message}`,
});
