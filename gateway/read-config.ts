/** From a config file, or the environment without one, to what a gateway runs on: checked, and with what its models cost. */
import { readFile } from 'node:fs/promises';
import { type BuiltInConfig, builtInConfig, providerKeyVariables } from './config/built-in.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import { ConfigError, type LoadedConfig } from './config/load.ts';
import { addModelFacts } from './model-facts.ts';
import { CostMapError } from './pricing/cost-map.ts';
import type { Settings } from './settings.ts';
import { codeOf, StartError } from './start-error.ts';
import { loadWithModels } from './stored-models.ts';
import type { StoredModel } from './stores/model-definitions.ts';

export interface ReadConfig extends LoadedConfig {
  readonly text: string;
  /** Without a file, what the keys in the environment stand for. */
  readonly builtIn: BuiltInConfig | undefined;
}

/** Reads and checks the config file, and looks up what its models cost and take. @throws StartError */
export async function readConfig(settings: Settings): Promise<ReadConfig> {
  const { text, builtIn } = await readText(settings);
  const source = builtIn === undefined ? settings.configPath : 'built-in';
  return { ...(await loadText(text, source, settings)), text, builtIn };
}

/**
 * @param source shown in faults.
 * @param models that were made over the API.
 * @throws StartError with every fault.
 */
export async function loadText(
  text: string,
  source: string,
  settings: Settings,
  models: readonly StoredModel[] = [],
): Promise<LoadedConfig> {
  const { environment, demoUpstreams, saltKey } = settings;
  const options = { source, environment, ...(demoUpstreams.length === 0 ? {} : { demoUpstreams }) };
  try {
    const loaded = loadWithModels(text, options, models, saltKey);
    return await addModelFacts(loaded, settings.modelCostMap);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof CostMapError) throw new StartError(error.message, 2, error);
    throw error;
  }
}

async function readText(settings: Settings): Promise<Pick<ReadConfig, 'text' | 'builtIn'>> {
  try {
    return { text: await readFile(settings.configPath, 'utf8'), builtIn: undefined };
  } catch (error) {
    const builtIn = withoutFile(settings, codeOf(error));
    if (builtIn !== undefined) return { text: builtIn.text, builtIn };
    throw new StartError(
      `The config file ${settings.configPath} cannot be read (${codeOf(error)}). Name another with --config FILE`,
      2,
      error,
    );
  }
}

/**
 * @param code why the file could not be read.
 * @throws StartError when there is neither a file nor a key.
 */
export function withoutFile(settings: Settings, code: string): BuiltInConfig | undefined {
  if (settings.configIsNamed || code !== 'ENOENT') return undefined;
  const builtIn = builtInConfig(settings.environment);
  if (builtIn !== undefined) return builtIn;
  throw new StartError(
    `There is nothing to serve: no config file at ${settings.configPath}, and no provider's key in the environment. Name a file with --config FILE or CONFIG_FILE_PATH, or set one of ${providerKeyVariables.join(', ')}`,
    2,
  );
}

/** LiteLLM's usual example, sk-1234, works, but not without a word about it. */
const shortestSafeKey = 20;

/**
 * Looks at who may sign in under a configuration.
 * @returns what deserves a warning.
 * @throws StartError for a gateway that nobody could use, or that says two things about keys.
 */
export function checkWhoMaySignIn(settings: Settings, config: GatewayConfig): readonly string[] {
  const hasDatabase = (settings.databaseUrl ?? config.databaseUrl) !== undefined;
  const masterKey = settings.masterKey ?? config.masterKey;
  if (config.allowUnauthenticated && (hasDatabase || masterKey !== undefined)) {
    throw new StartError(
      `general_settings.allow_unauthenticated is true, and there is a ${masterKey === undefined ? 'database with keys' : 'master key'}, which would protect nothing. Remove one of them`,
      2,
    );
  }
  if (!hasDatabase && masterKey === undefined && !config.allowUnauthenticated) {
    throw new StartError(
      'Nobody could sign in: there is neither a database with keys nor a master key. Set DATABASE_URL, or LITELLM_MASTER_KEY=sk-...; to serve without keys, write general_settings: {allow_unauthenticated: true}',
      2,
    );
  }
  return [
    ...(masterKey !== undefined && masterKey.length < shortestSafeKey
      ? ['the master key is short enough to be guessed; a safe one: sk- and 32 random characters']
      : []),
    ...(config.allowUnauthenticated
      ? [
          `NO KEYS: whoever reaches port ${settings.port} of ${settings.host} uses your providers at your expense (general_settings.allow_unauthenticated)`,
        ]
      : []),
    ...(hasDatabase ? [] : ['no database: no virtual keys, no spend rows; set DATABASE_URL to have them']),
  ];
}
