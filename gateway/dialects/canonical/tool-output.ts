/**
 * Results of tools. In chat completions a result is text, and all results of a turn stand before anything else; the
 * Messages and the Responses API also allow images and files in them. Those move into a user message behind the
 * results, which every provider reads, and the result says where they went.
 */
import type { JsonObject } from '../../domain/request.ts';

export interface ToolOutput {
  readonly message: JsonObject;
  /** What a result cannot carry, introduced by a text that names the call. */
  readonly attachments: readonly JsonObject[];
}

/**
 * @param parts canonical content parts.
 * @param failed chat completions have no mark for a failure, so the text says it.
 */
export function toolOutput(callId: string, parts: readonly JsonObject[], failed = false): ToolOutput {
  const texts = parts.filter((part) => part['type'] === 'text');
  const others = parts.filter((part) => part['type'] !== 'text');
  const written = texts.map((part) => String(part['text'])).join('\n');
  const pointer = others.length === 0 ? '' : `(${others.length} attachment(s) in the next message)`;
  const prefix = failed && !/^\W*(tool_use_)?error/i.test(written) ? 'Error: ' : '';
  const content = prefix + [written, pointer].filter((text) => text !== '').join('\n');
  const cacheControl = parts.map((part) => part['cache_control']).findLast((mark) => mark !== undefined);
  return {
    message: {
      role: 'tool',
      tool_call_id: callId,
      content,
      ...(cacheControl === undefined ? {} : { cache_control: cacheControl }),
    },
    attachments:
      others.length === 0 ? [] : [{ type: 'text', text: `Attachment(s) of the result of ${callId}:` }, ...others],
  };
}
