/**
 * Token counts in OpenAI's words. `prompt_tokens` include what was read from or written to a cache; LiteLLM's names for
 * the latter stand beside. https://platform.openai.com/docs/api-reference/chat/object,
 * https://docs.litellm.ai/docs/completion/prompt_caching
 */
import type { Usage } from '../../domain/answer.ts';
import type { JsonObject } from '../../domain/request.ts';

export interface TokenCounts {
  /** All tokens of the prompt, cached ones included. */
  readonly prompt: number;
  /** All tokens of the answer, reasoning included. */
  readonly completion: number;
  /** Of the prompt: read from the cache, and written to it. */
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** Of what was written: to be kept for an hour. */
  readonly hourCacheWrite?: number;
  /** Of the prompt. */
  readonly audio?: number;
  /** Of the answer; undefined when the provider does not tell. */
  readonly reasoning: number | undefined;
}

export const noTokens: TokenCounts = { prompt: 0, completion: 0, cacheRead: 0, cacheWrite: 0, reasoning: undefined };

export const toUsage = (counts: TokenCounts): Usage => ({
  promptTokens: counts.prompt,
  completionTokens: counts.completion,
  ...usageParts({
    cachedPromptTokens: counts.cacheRead,
    cacheWriteTokens: counts.cacheWrite,
    hourCacheWriteTokens: counts.hourCacheWrite,
    audioPromptTokens: counts.audio,
    reasoningTokens: counts.reasoning,
  }),
});

type UsageParts = Omit<Usage, 'promptTokens' | 'completionTokens'>;

/** Without those that are not there. */
export const usageParts = (parts: { readonly [Part in keyof UsageParts]?: number | undefined }): UsageParts =>
  Object.fromEntries(Object.entries(parts).filter(([, tokens]) => tokens !== undefined && tokens > 0));

export const printUsage = (counts: TokenCounts): JsonObject => ({
  prompt_tokens: counts.prompt,
  completion_tokens: counts.completion,
  total_tokens: counts.prompt + counts.completion,
  prompt_tokens_details: {
    cached_tokens: counts.cacheRead,
    ...(counts.audio === undefined || counts.audio === 0 ? {} : { audio_tokens: counts.audio }),
    ...(counts.cacheWrite === 0 ? {} : { cache_creation_tokens: counts.cacheWrite }),
  },
  ...(counts.reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: counts.reasoning } }),
  ...(counts.cacheRead === 0 && counts.cacheWrite === 0
    ? {}
    : { cache_creation_input_tokens: counts.cacheWrite, cache_read_input_tokens: counts.cacheRead }),
});
