/** https://ai.google.dev/api/generate-content#UsageMetadata: cached tokens are part of the prompt, thoughts are not part of the candidates. */
import type { TokenCounts } from '../chat/usage.ts';
import { countOf, isObject, objectsOf } from '../json.ts';

export function readUsage(value: unknown): TokenCounts | undefined {
  if (!isObject(value)) return undefined;
  const thoughts = value['thoughtsTokenCount'];
  return {
    prompt: countOf(value['promptTokenCount']) + countOf(value['toolUsePromptTokenCount']),
    completion: countOf(value['candidatesTokenCount']) + countOf(thoughts),
    cacheRead: countOf(value['cachedContentTokenCount']),
    cacheWrite: 0,
    audio: objectsOf(value['promptTokensDetails'])
      .filter(({ modality }) => modality === 'AUDIO')
      .reduce((sum, { tokenCount }) => sum + countOf(tokenCount), 0),
    reasoning: thoughts === undefined ? undefined : countOf(thoughts),
  };
}
