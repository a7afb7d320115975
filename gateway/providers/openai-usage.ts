/** https://platform.openai.com/docs/api-reference/chat/object; the second name of written tokens is LiteLLM’s. */
import type { Usage } from '../domain/answer.ts';
import type { JsonObject } from '../domain/request.ts';
import { usageParts } from './chat/usage.ts';
import { countOf, isObject, objectOf } from './json.ts';

export function readUsage(value: unknown): Usage | undefined {
  if (!isObject(value)) return undefined;
  const promptTokens = value['prompt_tokens'];
  const completionTokens = value['completion_tokens'] ?? 0;
  if (!isTokenCount(promptTokens) || !isTokenCount(completionTokens)) return undefined;
  const prompt = value['prompt_tokens_details'];
  const completion = value['completion_tokens_details'];
  return isObject(prompt) || isObject(completion)
    ? { promptTokens, completionTokens, ...readParts(objectOf(prompt), objectOf(completion)) }
    : { promptTokens, completionTokens };
}

const readParts = (prompt: JsonObject, completion: JsonObject) =>
  usageParts({
    cachedPromptTokens: countOf(prompt['cached_tokens']),
    cacheWriteTokens: countOf(prompt['cache_write_tokens'] ?? prompt['cache_creation_tokens']),
    audioPromptTokens: countOf(prompt['audio_tokens']),
    reasoningTokens: countOf(completion['reasoning_tokens']),
    audioCompletionTokens: countOf(completion['audio_tokens']),
  });

const isTokenCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
