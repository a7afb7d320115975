/** What a prompt holds besides text, told by its members and not by its content. */
import type { JsonObject } from '../domain/request.ts';

export interface PromptMedia {
  readonly images: number;
  /** Characters of the images, wherever they stand in the body. */
  readonly imageCharacters: number;
  /** Characters of recorded sound. */
  readonly soundCharacters: number;
}

const imageTypes: ReadonlySet<unknown> = new Set(['image_url', 'input_image', 'image']);
const soundTypes: ReadonlySet<unknown> = new Set(['input_audio', 'audio']);
/** A part is nested two or three levels deep; what a client nests deeper is counted as text. */
const deepest = 4;

const none: PromptMedia = { images: 0, imageCharacters: 0, soundCharacters: 0 };

/** Of the messages of a chat, in the words of any client API. Files count as text: nobody knows how much is in them. */
export function promptMedia(body: JsonObject): PromptMedia {
  const messages = body['messages'] ?? body['input'];
  if (!Array.isArray(messages)) return none;
  const found = { images: 0, imageCharacters: 0, soundCharacters: 0 };
  for (const message of messages) count(memberOf(message, 'content'), found, deepest);
  return found.images === 0 && found.soundCharacters === 0 ? none : found;
}

function count(content: unknown, found: { -readonly [member in keyof PromptMedia]: number }, depth: number): void {
  if (!Array.isArray(content) || depth === 0) return;
  for (const part of content) {
    const type = memberOf(part, 'type');
    if (imageTypes.has(type)) {
      found.images++;
      found.imageCharacters += lengthOfTexts(part, deepest);
    } else if (soundTypes.has(type)) {
      found.soundCharacters += lengthOfTexts(part, deepest);
    } else {
      // The result of a tool holds parts itself.
      count(memberOf(part, 'content'), found, depth - 1);
    }
  }
}

function lengthOfTexts(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || depth === 0) return 0;
  return Object.values(value).reduce<number>((sum, member) => sum + lengthOfTexts(member, depth - 1), 0);
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
