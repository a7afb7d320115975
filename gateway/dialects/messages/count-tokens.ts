/**
 * `/v1/messages/count_tokens` as an estimate: four characters are about one token in English text, and an image costs
 * about 1,600. No provider is asked. https://platform.claude.com/docs/en/build-with-claude/token-counting
 */
import type { JsonObject } from '../../domain/request.ts';
import { isObject } from '../canonical/json.ts';
import { toChat } from './request.ts';

const charactersPerToken = 4;
const tokensPerImage = 1_600;
/** Role and separators. */
const tokensPerMessage = 4;

/** Tools that run at the provider are not counted. @throws Refusal 400 for what is no request. */
export function countTokens(body: JsonObject): Buffer {
  const chat = toChat(body, { dropParams: true });
  const messages = Array.isArray(chat['messages']) ? chat['messages'].length : 0;
  const text = tokensIn(chat['messages']) + tokensIn(chat['tools']) + tokensIn(chat['response_format']);
  return Buffer.from(JSON.stringify({ input_tokens: Math.ceil(text) + messages * tokensPerMessage }));
}

function tokensIn(value: unknown): number {
  if (typeof value === 'string') {
    return value.startsWith('data:') && value.includes(';base64,') ? tokensPerImage : value.length / charactersPerToken;
  }
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + tokensIn(item), 0);
  if (!isObject(value)) return 0;
  if (value['type'] === 'image_url') return tokensPerImage;
  return Object.entries(value).reduce(
    (sum, [name, item]) => sum + name.length / charactersPerToken + tokensIn(item),
    0,
  );
}
