/** Content of a message, as text or as parts. https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectOf, textOf } from '../json.ts';
import type { MediaSource, Part, TextPart } from './prompt.ts';
import { malformed } from './refuse.ts';

/** @param at where the content stands, for refusals. */
export function readParts(content: unknown, at: string): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === 'string') return [textPart(content)];
  if (!Array.isArray(content)) throw malformed(at, 'text or a list of parts');
  return content.map((part: unknown, index) => readPart(part, `${at}[${index}]`));
}

/** For messages that can only carry text. */
export function readTextParts(content: unknown, at: string): TextPart[] {
  return readParts(content, at).map((part, index) => {
    if (part.is === 'text') return part;
    throw malformed(`${at}[${index}].type`, 'text');
  });
}

const textPart = (text: string, cacheControl?: JsonObject): TextPart => ({ is: 'text', text, cacheControl });

export const cacheControlOf = (holder: JsonObject): JsonObject | undefined => {
  const value = holder['cache_control'];
  return isObject(value) ? value : undefined;
};

function readPart(part: unknown, at: string): Part {
  if (typeof part === 'string') return textPart(part);
  if (!isObject(part)) throw malformed(at, 'an object with a type');
  const type = textOf(part['type']);
  const cacheControl = cacheControlOf(part);
  switch (type) {
    case 'text':
    case 'refusal': {
      const text = part[type];
      if (typeof text !== 'string') throw malformed(`${at}.${type}`, 'a string');
      return textPart(text, cacheControl);
    }
    case 'image_url': {
      const image = part['image_url'];
      const url = typeof image === 'string' ? image : objectOf(image)['url'];
      return { is: 'image', source: readSource(url, `${at}.image_url.url`), cacheControl, at };
    }
    case 'file':
      return readFile(objectOf(part['file']), cacheControl, at);
    case 'input_audio': {
      const audio = objectOf(part['input_audio']);
      const base64 = textOf(audio['data']);
      if (base64 === undefined) throw malformed(`${at}.input_audio.data`, 'audio in base64');
      return { is: 'audio', base64, format: textOf(audio['format']) ?? 'wav', at };
    }
    case undefined:
      throw malformed(`${at}.type`, 'the type of the part');
    default:
      return { is: 'foreign', type, part, at };
  }
}

function readFile(file: JsonObject, cacheControl: JsonObject | undefined, at: string): Part {
  const fileName = textOf(file['filename']);
  const data = textOf(file['file_data']);
  if (data !== undefined) {
    return { is: 'file', source: readSource(data, `${at}.file.file_data`), fileName, cacheControl, at };
  }
  const id = textOf(file['file_id']);
  if (id === undefined) throw malformed(`${at}.file`, 'an object with file_data or file_id');
  // LiteLLM takes an address as an id.
  const source: MediaSource = /^(https?|gs):\/\//.test(id) ? { is: 'url', url: id } : { is: 'id', id };
  return { is: 'file', source, fileName, cacheControl, at };
}

/** A data URL or an address. https://www.rfc-editor.org/rfc/rfc2397 */
function readSource(value: unknown, at: string): MediaSource {
  const text = textOf(value);
  if (text === undefined) throw malformed(at, 'an https URL or a data URL');
  if (!/^data:/i.test(text)) {
    if (!/^(https?|gs|s3):\/\//i.test(text)) throw malformed(at, 'an https URL or a data URL');
    return { is: 'url', url: text };
  }
  const comma = text.indexOf(',');
  const [mediaType = '', ...parameters] = text.slice('data:'.length, comma).split(';');
  if (comma === -1 || parameters.at(-1)?.trim().toLowerCase() !== 'base64') {
    throw malformed(at, 'a data URL in base64, for example data:image/png;base64,...');
  }
  return { is: 'data', mediaType: mediaType.trim().toLowerCase() || 'text/plain', base64: text.slice(comma + 1) };
}
