/**
 * Content blocks of a Messages request as parts of canonical content.
 * https://platform.claude.com/docs/en/api/messages (ContentBlockParam in @anthropic-ai/sdk)
 */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectOf, objectsOf, textOf } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';

/** @param path where the content stands, for refusals. */
export function partsOf(content: unknown, path: string): JsonObject[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  if (content === undefined || content === null) return [];
  if (!Array.isArray(content)) throw malformed(path, 'text or a list of content blocks');
  return content.flatMap((block, index) => partsOfBlock(block, `${path}[${index}]`));
}

/** Text alone stays text: many servers know no other content for some roles. */
export function contentOf(parts: readonly JsonObject[]): unknown {
  if (parts.length === 0) return '';
  const [only] = parts;
  return parts.length === 1 && only?.['type'] === 'text' && Object.keys(only).length === 2 ? only['text'] : parts;
}

export function partsOfBlock(block: unknown, path: string): JsonObject[] {
  if (!isObject(block)) throw malformed(path, 'a content block');
  switch (block['type']) {
    case 'text':
      if (typeof block['text'] !== 'string') throw malformed(`${path}.text`, 'text');
      return [marked({ type: 'text', text: block['text'] }, block)];
    case 'image':
      return [marked(image(objectOf(block['source']), `${path}.source`), block)];
    case 'document':
      return document(block, path);
    case 'search_result':
      refuseCitations(block, path);
      return [
        marked(
          { type: 'text', text: titled(block, [block['source'], ...textsOf(block['content'])].join('\n')) },
          block,
        ),
      ];
    default:
      throw inexpressible(`${path}.type`, `chat completions know no ${String(block['type'])} block here`);
  }
}

/** A mark for prompt caching, under the name LiteLLM gives it. */
const marked = (part: JsonObject, block: JsonObject): JsonObject =>
  isObject(block['cache_control']) ? { ...part, cache_control: block['cache_control'] } : part;

function image(source: JsonObject, path: string): JsonObject {
  if (source['type'] === 'url' && typeof source['url'] === 'string') {
    return { type: 'image_url', image_url: { url: source['url'] } };
  }
  if (source['type'] === 'base64') return { type: 'image_url', image_url: { url: dataUrl(source, path) } };
  throw inexpressible(path, 'an image must be given as base64 or url; the gateway keeps no files');
}

function document(block: JsonObject, path: string): JsonObject[] {
  refuseCitations(block, path);
  const source = objectOf(block['source']);
  switch (source['type']) {
    case 'text':
      return [marked({ type: 'text', text: titled(block, String(source['data'])) }, block)];
    case 'base64':
      return [
        marked(
          {
            type: 'file',
            file: {
              filename: textOf(block['title']) ?? 'document.pdf',
              file_data: dataUrl(source, `${path}.source`),
            },
          },
          block,
        ),
      ];
    case 'content':
      return partsOf(source['content'], `${path}.source.content`);
    default:
      throw inexpressible(`${path}.source`, 'a document must be given as base64, text or content');
  }
}

function refuseCitations(block: JsonObject, path: string): void {
  if (objectOf(block['citations'])['enabled'] === true) {
    throw inexpressible(`${path}.citations`, 'chat completions cannot cite documents');
  }
}

function dataUrl(source: JsonObject, path: string): string {
  const { data, media_type: mediaType } = source;
  if (typeof data !== 'string' || typeof mediaType !== 'string') throw malformed(path, 'base64 data with a media_type');
  return `data:${mediaType};base64,${data}`;
}

const titled = (block: JsonObject, text: string): string =>
  [textOf(block['title']), textOf(block['context']), text].filter((line) => line !== undefined).join('\n');

const textsOf = (content: unknown): string[] => objectsOf(content).map((block) => textOf(block['text']) ?? '');
