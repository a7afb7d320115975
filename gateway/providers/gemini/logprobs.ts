/** https://ai.google.dev/api/generate-content#LogprobsResult -> https://platform.openai.com/docs/api-reference/chat/object */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectsOf } from '../json.ts';

export function toLogprobs(result: unknown): JsonObject | undefined {
  if (!isObject(result)) return undefined;
  const tops = objectsOf(result['topCandidates']);
  const content = objectsOf(result['chosenCandidates']).map((chosen, index) => ({
    ...toToken(chosen),
    top_logprobs: objectsOf(tops[index]?.['candidates']).map(toToken),
  }));
  return { content, refusal: null };
}

function toToken(candidate: JsonObject): JsonObject {
  const token = typeof candidate['token'] === 'string' ? candidate['token'] : '';
  return { token, logprob: candidate['logProbability'] ?? 0, bytes: [...Buffer.from(token)] };
}
