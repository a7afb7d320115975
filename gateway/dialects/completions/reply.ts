/** A canonical reply as a completion. https://platform.openai.com/docs/api-reference/completions/object */
import type { JsonObject } from '../../domain/request.ts';
import { numberOf, objectOf, objectsOf, parseJson, present, textOf } from '../canonical/json.ts';

export function fromReply(reply: Buffer): Buffer {
  const chat = objectOf(parseJson(reply.toString()));
  const choices = objectsOf(chat['choices']).map((choice) => completionChoice(choice, objectOf(choice['message']), 0));
  return Buffer.from(JSON.stringify(completion(chat, choices)));
}

/** A whole completion and a chunk of one differ in nothing but their choices. */
export const completion = (chat: JsonObject, choices: readonly JsonObject[]): JsonObject => ({
  ...present({ id: chat['id'], created: chat['created'], model: chat['model'] }),
  object: 'text_completion',
  choices,
  ...present({ usage: chat['usage'], system_fingerprint: chat['system_fingerprint'] }),
});

/**
 * @param said the message, or what a chunk adds to it. Reasoning has no place here.
 * @param offset characters of the answer before this.
 */
export function completionChoice(choice: JsonObject, said: JsonObject, offset: number): JsonObject {
  return {
    text: saidText(said),
    index: numberOf(choice['index']) ?? 0,
    logprobs: logprobsOf(objectOf(choice['logprobs'])['content'], offset),
    finish_reason: finishReason(choice['finish_reason']),
  };
}

export const saidText = (said: JsonObject): string => textOf(said['content']) ?? textOf(said['refusal']) ?? '';

const finishReason = (reason: unknown): string | null =>
  reason === 'length' || reason === 'content_filter' ? reason : textOf(reason) === undefined ? null : 'stop';

function logprobsOf(content: unknown, offset: number): JsonObject | null {
  const tokens = objectsOf(content);
  if (tokens.length === 0) return null;
  const texts = tokens.map(({ token }) => textOf(token) ?? '');
  let at = offset;
  return {
    tokens: texts,
    token_logprobs: tokens.map(({ logprob }) => numberOf(logprob) ?? null),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(objectsOf(token['top_logprobs']).map((top) => [textOf(top['token']) ?? '', top['logprob']])),
    ),
    text_offset: texts.map((text) => {
      const start = at;
      at += text.length;
      return start;
    }),
  };
}
