/** The config of a gateway that was given none: every provider whose key is in the environment, under its own prefix. */
import type { Environment } from './environment.ts';
import { providers } from './providers.ts';

export interface BuiltInConfig {
  /** As somebody would write it into a file. */
  readonly text: string;
  /** Names that clients may ask for. */
  readonly serves: readonly string[];
}

/** @returns undefined when the environment has no provider's key. */
export function builtInConfig(environment: Environment): BuiltInConfig | undefined {
  const isSet = (variable: string | undefined): boolean => variable !== undefined && Boolean(environment[variable]);
  const usable = Object.entries(providers)
    // Local servers need no key, so that nothing says whether they are there.
    .filter(([, entry]) => entry.keyOptional !== true)
    .filter(([, entry]) => isSet(entry.apiKeyVariable) || isSet(entry.otherKeyVariable))
    .filter(([, entry]) => entry.apiBase !== undefined || (entry.apiBaseVariables ?? []).some(isSet))
    .map(([name]) => name);
  if (usable.length === 0) return undefined;
  const groups = usable.map((name) => ({ name: `${name}/*`, model: `${name}/*` }));
  // A name without a prefix is OpenAI's, as everywhere.
  if (usable.includes('openai')) groups.push({ name: '*', model: 'openai/*' });
  const entries = groups.map(({ name, model }) => `  - {model_name: "${name}", litellm_params: {model: "${model}"}}`);
  return { text: `model_list:\n${entries.join('\n')}\n`, serves: groups.map(({ name }) => name) };
}

/** Variables that would do, for a message. */
export const providerKeyVariables: readonly string[] = Object.values(providers).flatMap(
  ({ apiKeyVariable, keyOptional }) => (apiKeyVariable === undefined || keyOptional === true ? [] : [apiKeyVariable]),
);
