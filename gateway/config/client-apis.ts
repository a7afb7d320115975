/** Which APIs of clients, besides chat completions, a deployment speaks itself, so that nothing need be translated for it. */
import type { ClientApi } from '../domain/request.ts';

export interface SpokenAt {
  readonly provider: string;
  readonly base: URL;
  /** Azure's. */
  readonly apiVersion: string | undefined;
  /** `use_responses_api` of the entry. */
  readonly useResponses: boolean | undefined;
}

/** Servers that complete texts as well as they chat. */
const completeTexts: ReadonlySet<string> = new Set([
  'text-completion-openai',
  'hosted_vllm',
  'vllm',
  'sglang',
  'lm_studio',
  'ollama',
  'ollama_chat',
  'together_ai',
  'fireworks_ai',
]);

/** Providers whose adapter cannot pass the Responses API through, whatever an entry says. */
const withoutResponses: ReadonlySet<string> = new Set(['anthropic', 'gemini', 'bedrock', 'text-completion-openai']);

export function clientApisOf(at: SpokenAt): readonly ClientApi[] {
  const { provider, useResponses } = at;
  const responses = !withoutResponses.has(provider) && (useResponses ?? hasResponses(at));
  return [
    ...(provider === 'anthropic' ? (['messages'] as const) : []),
    ...(responses ? (['responses'] as const) : []),
    ...(completeTexts.has(provider) ? (['completions'] as const) : []),
  ];
}

/** Many servers are called `openai/...` with an address of their own; most of those only chat. */
function hasResponses({ provider, base, apiVersion }: SpokenAt): boolean {
  if (provider === 'openai') return base.hostname === 'api.openai.com' || base.hostname.endsWith('.api.openai.com');
  return provider === 'azure' && (/\/v1\/?$/.test(base.pathname) || isRecent(apiVersion));
}

/** https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle */
const firstWithResponses = '2025-03-01';

const isRecent = (version: string | undefined): boolean =>
  version !== undefined &&
  (version === 'preview' || version === 'latest' || (/^\d{4}-/.test(version) && version >= firstWithResponses));
