/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html: `inputTokens` are without cached ones. */
import type { TokenCounts } from '../chat/usage.ts';
import { countOf, isObject, objectsOf } from '../json.ts';

export function readUsage(value: unknown): TokenCounts | undefined {
  if (!isObject(value)) return undefined;
  const cacheRead = countOf(value['cacheReadInputTokens']);
  const cacheWrite = countOf(value['cacheWriteInputTokens']);
  return {
    prompt: countOf(value['inputTokens']) + cacheRead + cacheWrite,
    completion: countOf(value['outputTokens']),
    cacheRead,
    cacheWrite,
    // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CacheDetail.html
    hourCacheWrite: objectsOf(value['cacheDetails'])
      .filter(({ ttl }) => ttl === '1h')
      .reduce((sum, { inputTokens }) => sum + countOf(inputTokens), 0),
    reasoning: undefined,
  };
}
