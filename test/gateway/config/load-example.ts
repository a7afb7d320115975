import type { ConfigFault } from '../../../gateway/config/document.ts';
import { ConfigError, type LoadedConfig, type LoadOptions, loadConfig } from '../../../gateway/config/load.ts';

const openAI = { OPENAI_API_KEY: 'sk-openai' };

export const load = (text: string, over: Partial<LoadOptions> = {}): LoadedConfig =>
  loadConfig(text, { source: 'config.yaml', environment: openAI, ...over });

/** The error of a config that cannot be loaded. */
export function errorOf(text: string, over: Partial<LoadOptions> = {}): ConfigError {
  try {
    load(text, over);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the config has no fault');
}

export const faultsOf = (text: string, over: Partial<LoadOptions> = {}): readonly ConfigFault[] =>
  errorOf(text, over).faults;

/** One deployment that needs nothing, and what else a test is about. */
export const withOne = (rest: string): string => `model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: sk-a-key}
${rest}`;
