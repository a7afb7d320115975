/** Which adapter speaks to which provider. Everything that is not named here speaks OpenAI's format. */
import type { Deployment } from '../domain/deployment.ts';
import type { ProviderAdapter } from './adapter.ts';
import { anthropicAdapter } from './anthropic/adapter.ts';
import { azureAdapter } from './azure.ts';
import { azureAIAdapter } from './azure-ai.ts';
import { bedrockAdapter } from './bedrock/adapter.ts';
import { type AdapterOptions, inexpressible } from './chat/refuse.ts';
import { cohereAdapter } from './cohere.ts';
import { dropping } from './dropping.ts';
import { geminiAdapter } from './gemini/adapter.ts';
import { azureResponsesPath } from './native/azure-path.ts';
import { nativeCompletions } from './native/completions.ts';
import { nativeMessages } from './native/messages.ts';
import { nativeResponses } from './native/responses.ts';
import { openAIAdapter } from './openai.ts';

/** The newest version that Azure calls generally available and not a preview. */
const defaultAzureVersion = '2024-10-21';

/** LiteLLM's name for models of OpenAI that complete a text and cannot chat. */
const textCompletions = 'text-completion-openai';

/** @param options for deployments and requests that state nothing else. */
export function chooseAdapters(options: AdapterOptions): (provider: string) => ProviderAdapter {
  const compatible: ProviderAdapter = {
    ...openAIAdapter,
    native: {
      responses: nativeResponses(
        ({ basePath }) => `${basePath}/responses`,
        (response, deployment) => openAIAdapter.classify(response, deployment),
      ),
      completions: nativeCompletions(openAIAdapter),
    },
  };
  const versionOf = (deployment: Deployment): string => deployment.apiVersion ?? defaultAzureVersion;
  const azure = azureAdapter(versionOf);
  const makers: Readonly<Record<string, (options: AdapterOptions) => ProviderAdapter>> = {
    anthropic: (all) => ({ ...anthropicAdapter(all), native: { messages: nativeMessages } }),
    [textCompletions]: () => ({
      ...compatible,
      toUpstream(request) {
        throw inexpressible(request.operation, textCompletions, 'it completes texts: POST /v1/completions');
      },
    }),
    bedrock: bedrockAdapter,
    gemini: geminiAdapter,
    azure_ai: () => azureAIAdapter,
    cohere: () => cohereAdapter,
    cohere_chat: () => cohereAdapter,
    azure: () => ({
      ...azure,
      native: {
        responses: nativeResponses(
          (deployment) => azureResponsesPath(deployment, versionOf(deployment)),
          (response, deployment) => azure.classify(response, deployment),
        ),
      },
    }),
  };
  const adapters = new Map(Object.entries(makers).map(([provider, make]) => [provider, dropping(make, options)]));
  const others = dropping(() => compatible, options);
  return (provider) => adapters.get(provider) ?? others;
}
