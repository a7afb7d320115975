/**
 * Content of input items as parts of canonical content.
 * https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
 */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, present, textOf } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';

/** @param path where the content stands, for refusals. */
export function partsOf(content: unknown, path: string): JsonObject[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw malformed(path, 'text or a list of content parts');
  return content.map((part, index) => partOf(part, `${path}[${index}]`));
}

/** Text alone stays text: many servers know no other content for some roles. */
export function contentOf(parts: readonly JsonObject[]): unknown {
  const [only] = parts;
  return parts.length === 1 && only?.['type'] === 'text' ? only['text'] : parts;
}

function partOf(part: unknown, path: string): JsonObject {
  if (!isObject(part)) throw malformed(path, 'a content part');
  switch (part['type']) {
    case 'input_text':
    case 'output_text':
    case 'text':
      if (typeof part['text'] !== 'string') throw malformed(`${path}.text`, 'text');
      return { type: 'text', text: part['text'] };
    case 'refusal':
      return { type: 'refusal', refusal: part['refusal'] };
    case 'input_image':
      if (textOf(part['image_url']) === undefined) {
        throw inexpressible(`${path}.image_url`, 'an image must be given as a URL; the gateway keeps no files');
      }
      return { type: 'image_url', image_url: present({ url: part['image_url'], detail: part['detail'] }) };
    case 'input_file':
      if (textOf(part['file_data']) === undefined) {
        throw inexpressible(`${path}.file_data`, 'a file must be given as data; the gateway keeps no files');
      }
      return { type: 'file', file: present({ filename: part['filename'], file_data: part['file_data'] }) };
    case 'input_audio':
      return { type: 'input_audio', input_audio: part['input_audio'] };
    default:
      throw inexpressible(`${path}.type`, `chat completions know no ${JSON.stringify(part['type'])} part`);
  }
}
