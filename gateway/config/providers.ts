/** Which vendor a model string names, where it is reached and with which variable, as in LiteLLM. */

export interface ProviderEntry {
  /** Where the API is when the entry has no `api_base`; undefined = it must have one. */
  readonly apiBase?: string;
  /** Variables that may name another address. */
  readonly apiBaseVariables?: readonly string[];
  /** Variable with the key when the entry has none. */
  readonly apiKeyVariable?: string;
  /** Another name of it. */
  readonly otherKeyVariable?: string;
  /** Whether the provider can be called without a key. */
  readonly keyOptional?: true;
  /** Header that carries the key as it is; without one it is a bearer token. */
  readonly keyHeader?: string;
}

const cohere: ProviderEntry = {
  apiBase: 'https://api.cohere.ai/compatibility/v1',
  apiBaseVariables: ['COHERE_API_BASE'],
  apiKeyVariable: 'COHERE_API_KEY',
  otherKeyVariable: 'CO_API_KEY',
};

/** Providers that can be called. Those without a comment speak OpenAI's wire format. */
export const providers: Readonly<Record<string, ProviderEntry>> = {
  openai: {
    apiBase: 'https://api.openai.com/v1',
    apiBaseVariables: ['OPENAI_BASE_URL', 'OPENAI_API_BASE'],
    apiKeyVariable: 'OPENAI_API_KEY',
  },
  // Models that complete a text and cannot chat.
  'text-completion-openai': {
    apiBase: 'https://api.openai.com/v1',
    apiBaseVariables: ['OPENAI_BASE_URL', 'OPENAI_API_BASE'],
    apiKeyVariable: 'OPENAI_API_KEY',
  },
  custom_openai: { apiKeyVariable: 'OPENAI_API_KEY', keyOptional: true },
  openai_like: { apiBaseVariables: ['OPENAI_LIKE_API_BASE'], apiKeyVariable: 'OPENAI_LIKE_API_KEY', keyOptional: true },
  hosted_vllm: { apiBaseVariables: ['HOSTED_VLLM_API_BASE'], apiKeyVariable: 'HOSTED_VLLM_API_KEY', keyOptional: true },
  vllm: { apiBaseVariables: ['HOSTED_VLLM_API_BASE'], apiKeyVariable: 'HOSTED_VLLM_API_KEY', keyOptional: true },
  sglang: { apiKeyVariable: 'SGLANG_API_KEY', keyOptional: true },
  lm_studio: { apiBaseVariables: ['LM_STUDIO_API_BASE'], apiKeyVariable: 'LM_STUDIO_API_KEY', keyOptional: true },
  ollama_chat: { apiBase: 'http://localhost:11434/v1', keyOptional: true },
  ollama: { apiBase: 'http://localhost:11434/v1', keyOptional: true },
  // OpenAI's format at other addresses.
  azure: { apiBaseVariables: ['AZURE_API_BASE'], apiKeyVariable: 'AZURE_API_KEY', keyHeader: 'api-key' },
  azure_ai: { apiBaseVariables: ['AZURE_AI_API_BASE'], apiKeyVariable: 'AZURE_AI_API_KEY' },
  // OpenAI's format, and a rerank of its own. https://docs.cohere.com/docs/compatibility-api
  cohere,
  cohere_chat: cohere,
  // The Messages API.
  anthropic: {
    apiBase: 'https://api.anthropic.com',
    apiBaseVariables: ['ANTHROPIC_BASE_URL', 'ANTHROPIC_API_BASE'],
    apiKeyVariable: 'ANTHROPIC_API_KEY',
    keyHeader: 'x-api-key',
  },
  // The Gemini API of AI Studio.
  gemini: {
    apiBase: 'https://generativelanguage.googleapis.com',
    apiBaseVariables: ['GEMINI_API_BASE'],
    apiKeyVariable: 'GEMINI_API_KEY',
    otherKeyVariable: 'GOOGLE_API_KEY',
    keyHeader: 'x-goog-api-key',
  },
  // The Converse API; its address follows from the region, and calls are signed instead of carrying a key.
  bedrock: { apiKeyVariable: 'AWS_BEARER_TOKEN_BEDROCK', keyOptional: true },
  groq: { apiBase: 'https://api.groq.com/openai/v1', apiKeyVariable: 'GROQ_API_KEY' },
  mistral: { apiBase: 'https://api.mistral.ai/v1', apiKeyVariable: 'MISTRAL_API_KEY' },
  deepseek: { apiBase: 'https://api.deepseek.com/v1', apiKeyVariable: 'DEEPSEEK_API_KEY' },
  openrouter: { apiBase: 'https://openrouter.ai/api/v1', apiKeyVariable: 'OPENROUTER_API_KEY' },
  together_ai: { apiBase: 'https://api.together.xyz/v1', apiKeyVariable: 'TOGETHERAI_API_KEY' },
  fireworks_ai: { apiBase: 'https://api.fireworks.ai/inference/v1', apiKeyVariable: 'FIREWORKS_AI_API_KEY' },
  xai: { apiBase: 'https://api.x.ai/v1', apiKeyVariable: 'XAI_API_KEY' },
  perplexity: { apiBase: 'https://api.perplexity.ai', apiKeyVariable: 'PERPLEXITYAI_API_KEY' },
  cerebras: { apiBase: 'https://api.cerebras.ai/v1', apiKeyVariable: 'CEREBRAS_API_KEY' },
};

/** Providers of LiteLLM that cannot be called from here, and what to write instead. */
export const refusedProviders: Readonly<Record<string, string>> = {
  vertex_ai: 'it takes Google Cloud tokens that end every hour; write gemini/NAME with a key of AI Studio',
  vertex_ai_beta: 'it takes Google Cloud tokens that end every hour; write gemini/NAME with a key of AI Studio',
};

/** `openai/gpt-4o` -> provider and the provider's model name; without a known prefix the model is OpenAI's. */
export function splitModel(model: string, customProvider?: string): { provider: string; model: string } {
  const slash = model.indexOf('/');
  const prefix = slash === -1 ? '' : model.slice(0, slash);
  const known = Object.hasOwn(providers, prefix) || Object.hasOwn(refusedProviders, prefix);
  if (customProvider !== undefined) {
    return { provider: customProvider, model: prefix === customProvider ? model.slice(slash + 1) : model };
  }
  return known ? { provider: prefix, model: model.slice(slash + 1) } : { provider: 'openai', model };
}
