/**
 * Token counts of a canonical `usage`. OpenAI's `prompt_tokens` include cached ones; LiteLLM's additional names for
 * prompt caching are read as well.
 * https://platform.openai.com/docs/api-reference/chat/object, https://docs.litellm.ai/docs/completion/prompt_caching
 */
import { isObject, numberOf, objectOf } from './json.ts';

export interface TokenCounts {
  /** All tokens of the prompt, those read from and written to a cache included. */
  readonly prompt: number;
  readonly completion: number;
  readonly total: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly reasoning: number;
}

/** @returns undefined when the upstream reported nothing. */
export function readUsage(value: unknown): TokenCounts | undefined {
  if (!isObject(value)) return undefined;
  const promptDetails = objectOf(value['prompt_tokens_details']);
  const completionDetails = objectOf(value['completion_tokens_details']);
  const prompt = count(value['prompt_tokens']);
  const completion = count(value['completion_tokens']);
  return {
    prompt,
    completion,
    total: count(value['total_tokens'], prompt + completion),
    cacheRead: count(promptDetails['cached_tokens'] ?? value['cache_read_input_tokens']),
    cacheWrite: count(
      value['cache_creation_input_tokens'] ??
        promptDetails['cache_write_tokens'] ??
        promptDetails['cache_creation_tokens'],
    ),
    reasoning: count(completionDetails['reasoning_tokens']),
  };
}

const count = (value: unknown, otherwise = 0): number => Math.max(0, numberOf(value) ?? otherwise);
