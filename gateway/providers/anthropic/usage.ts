/** https://platform.claude.com/docs/en/api/messages#response.usage: `input_tokens` are those that no cache was involved in. */
import type { TokenCounts } from '../chat/usage.ts';
import { countOf, isObject, objectOf } from '../json.ts';

/** @param known what was told before: later events of a stream repeat only what has changed. */
export function readUsage(value: unknown, known?: TokenCounts): TokenCounts | undefined {
  if (!isObject(value)) return known;
  const cacheRead = countOf(value['cache_read_input_tokens'] ?? known?.cacheRead);
  const cacheWrite = countOf(value['cache_creation_input_tokens'] ?? known?.cacheWrite);
  const knownInput = known === undefined ? 0 : known.prompt - known.cacheRead - known.cacheWrite;
  const hour = objectOf(value['cache_creation'])['ephemeral_1h_input_tokens'];
  const thinking = objectOf(value['output_tokens_details'])['thinking_tokens'];
  return {
    prompt: countOf(value['input_tokens'] ?? knownInput) + cacheRead + cacheWrite,
    completion: countOf(value['output_tokens'] ?? known?.completion),
    cacheRead,
    cacheWrite,
    hourCacheWrite: hour === undefined ? (known?.hourCacheWrite ?? 0) : countOf(hour),
    reasoning: thinking === undefined ? known?.reasoning : countOf(thinking),
  };
}
