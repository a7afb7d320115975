/** A legacy completions request as a canonical one. https://platform.openai.com/docs/api-reference/completions/create */
import type { JsonObject } from '../../domain/request.ts';
import { numberOf, present, without } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';

/** Members with another name or shape in chat completions; the others pass through. */
const translated = ['prompt', 'max_tokens', 'logprobs', 'suffix', 'echo', 'best_of'];

export function toChat(body: JsonObject): JsonObject {
  const { suffix, echo, best_of: bestOf, n } = body;
  if (suffix !== undefined && suffix !== null && suffix !== '') {
    throw inexpressible('suffix', 'chat models do not insert text');
  }
  if (echo === true) throw inexpressible('echo', 'put the prompt before the answer yourself');
  if ((numberOf(bestOf) ?? 1) > (numberOf(n) ?? 1)) throw inexpressible('best_of', 'it asks for n answers only');
  return {
    ...without(body, translated),
    messages: [{ role: 'user', content: promptOf(body['prompt']) }],
    ...present({ max_completion_tokens: body['max_tokens'] }),
    ...logprobMembers(body['logprobs']),
  };
}

function promptOf(prompt: unknown): string {
  const texts: unknown[] = Array.isArray(prompt) ? prompt : [prompt];
  const [text] = texts;
  if (texts.length > 1 && texts.every((item) => typeof item === 'string')) {
    throw inexpressible('prompt', 'one prompt for each request');
  }
  if (typeof text === 'number' || Array.isArray(text)) throw inexpressible('prompt', 'text only, no tokens');
  if (texts.length !== 1 || typeof text !== 'string' || text === '') throw malformed('prompt', 'text, and not empty');
  return text;
}

function logprobMembers(logprobs: unknown): JsonObject {
  const top = numberOf(logprobs);
  return top === undefined ? {} : { logprobs: true, top_logprobs: top };
}
