/** Which adapter speaks to which provider. Everything that is not named here speaks OpenAI's format. */
import type { ProviderAdapter } from './adapter.ts';
import { anthropicAdapter } from './anthropic/adapter.ts';
import { azureAdapter } from './azure.ts';
import { bedrockAdapter } from './bedrock/adapter.ts';
import type { AdapterOptions } from './chat/refuse.ts';
import { geminiAdapter } from './gemini/adapter.ts';
import { openAIAdapter } from './openai.ts';

/** The newest version that Azure calls generally available and not a preview. */
const defaultAzureVersion = '2024-10-21';

export function chooseAdapters(options: AdapterOptions): (provider: string) => ProviderAdapter {
  const adapters: ReadonlyMap<string, ProviderAdapter> = new Map([
    ['anthropic', anthropicAdapter(options)],
    ['bedrock', bedrockAdapter(options)],
    ['gemini', geminiAdapter(options)],
    ['azure', azureAdapter((deployment) => deployment.apiVersion ?? defaultAzureVersion)],
  ]);
  return (provider) => adapters.get(provider) ?? openAIAdapter;
}
