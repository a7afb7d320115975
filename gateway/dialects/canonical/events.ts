/** Cuts a block of whole server-sent events into what they mean. */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, parseJson } from './json.ts';

export type CanonicalEvent =
  | { readonly is: 'chunk'; readonly chunk: JsonObject }
  /** An error that an upstream put into its stream. */
  | { readonly is: 'error'; readonly error: JsonObject }
  /** `[DONE]`. */
  | { readonly is: 'done' };

/** Comments and events without an object are nothing to a client. */
export function readEvents(block: Buffer): CanonicalEvent[] {
  const events: CanonicalEvent[] = [];
  let data: string[] = [];
  for (const line of `${block.toString()}\n\n`.split(/\r\n|\n|\r/)) {
    if (line.startsWith('data:')) {
      data.push(line.slice(line[5] === ' ' ? 6 : 5));
    } else if (line === '' && data.length > 0) {
      const event = readData(data.join('\n'));
      if (event !== undefined) events.push(event);
      data = [];
    }
  }
  return events;
}

function readData(data: string): CanonicalEvent | undefined {
  if (data.trim() === '[DONE]') return { is: 'done' };
  const value = parseJson(data);
  if (!isObject(value)) return undefined;
  const error = value['error'];
  return isObject(error) && !Array.isArray(value['choices']) ? { is: 'error', error } : { is: 'chunk', chunk: value };
}

/** One event of a dialect that names its events. */
export const namedEvent = (name: string, data: JsonObject): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
