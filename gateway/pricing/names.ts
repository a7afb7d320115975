/** How the same model is called by deployments, by LiteLLM's map and by the data package. */
import { modelIdOf } from '../domain/bedrock-model.ts';
import type { ModelName } from '../domain/prices.ts';

/** LiteLLM's providers by the data package's. Behind any other anybody may be, so nobody knows its prices. */
export const packageProviders: Readonly<Record<string, string>> = {
  openai: 'openai',
  'text-completion-openai': 'openai',
  azure: 'azure',
  azure_ai: 'azure',
  anthropic: 'anthropic',
  gemini: 'google',
  vertex_ai: 'google',
  bedrock: 'aws',
  cohere: 'cohere',
  groq: 'groq',
  mistral: 'mistral',
  deepseek: 'deepseek',
  openrouter: 'openrouter',
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  xai: 'x-ai',
  perplexity: 'perplexity',
  cerebras: 'cerebras',
};

/** Inference profiles carry where they run: `us.anthropic.claude-...`, `global.amazon.nova-...`. */
const profilePrefix = /^(us|eu|apac|ap|jp|au|ca|in|sa|us-gov|global)\.(?=[a-z]+\.)/;

/** The model without what says where it runs. */
export function bareModelOf({ provider, model }: ModelName): string {
  return provider === 'bedrock' ? bedrockIdOf(model).replace(profilePrefix, '') : model;
}

/** Of an ARN, the id at its end. */
export const bedrockIdOf = (model: string): string => modelIdOf(model).replace(/^arn:.*\//, '');

/** `azure/gpt-4o` as a base model names its provider itself; without one it is the deployment's. */
export function baseModelName(baseModel: string, provider: string): ModelName {
  const slash = baseModel.indexOf('/');
  const prefix = baseModel.slice(0, Math.max(0, slash));
  return Object.hasOwn(packageProviders, prefix)
    ? { provider: prefix, model: baseModel.slice(slash + 1) }
    : { provider, model: baseModel };
}
