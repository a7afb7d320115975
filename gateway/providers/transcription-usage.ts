/**
 * What a transcription is billed for: tokens of its sound and its text, or the length of the sound.
 * https://platform.openai.com/docs/api-reference/audio/json-object,
 * https://docs.mistral.ai/capabilities/audio_transcription
 */
import type { WholeReply } from './adapter.ts';
import { usageParts } from './chat/usage.ts';
import { countOf, objectOf } from './json.ts';

/** @param duration seconds; verbose answers state it outside of their usage. */
export function readTranscriptionUsage(usage: unknown, duration: unknown): Pick<WholeReply, 'usage' | 'heardMs'> {
  const stated = objectOf(usage);
  const promptTokens = stated['input_tokens'] ?? stated['prompt_tokens'];
  const completionTokens = stated['output_tokens'] ?? stated['completion_tokens'];
  const audioPromptTokens = countOf(objectOf(stated['input_token_details'])['audio_tokens']);
  const seconds = Number(stated['seconds'] ?? stated['prompt_audio_seconds'] ?? duration ?? Number.NaN);
  return {
    usage:
      promptTokens === undefined
        ? undefined
        : {
            promptTokens: countOf(promptTokens),
            completionTokens: countOf(completionTokens),
            ...usageParts({ audioPromptTokens }),
          },
    ...(seconds >= 0 && seconds < longestSeconds && { heardMs: Math.round(seconds * 1000) }),
  };
}

/** A year; what is longer is no length of a sound. */
const longestSeconds = 31_536_000;
