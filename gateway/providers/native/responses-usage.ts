/** https://platform.openai.com/docs/api-reference/responses/object */
import type { Usage } from '../../domain/answer.ts';
import { toUsage } from '../chat/usage.ts';
import { countOf, isObject, objectOf } from '../json.ts';

export function readUsage(value: unknown): Usage | undefined {
  if (!isObject(value)) return undefined;
  return toUsage({
    prompt: countOf(value['input_tokens']),
    completion: countOf(value['output_tokens']),
    cacheRead: countOf(objectOf(value['input_tokens_details'])['cached_tokens']),
    cacheWrite: countOf(objectOf(value['input_tokens_details'])['cache_write_tokens']),
    reasoning: countOf(objectOf(value['output_tokens_details'])['reasoning_tokens']),
  });
}
