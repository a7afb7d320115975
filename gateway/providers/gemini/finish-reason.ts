/** https://ai.google.dev/api/generate-content#FinishReason */
import type { FinishReason } from '../chat/completion.ts';

const cutShort: ReadonlySet<unknown> = new Set(['MAX_TOKENS', 'CONTINUATION']);

const filtered: ReadonlySet<unknown> = new Set([
  'SAFETY',
  'RECITATION',
  'LANGUAGE',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
]);

/** Calls have no reason of their own there. A reason that is not known yet is still a proper end. */
export function toFinishReason(reason: unknown, hasCalls: boolean): FinishReason {
  if (cutShort.has(reason)) return 'length';
  if (filtered.has(reason)) return 'content_filter';
  return hasCalls ? 'tool_calls' : 'stop';
}
