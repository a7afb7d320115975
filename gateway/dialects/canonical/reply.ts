/** A whole `chat.completion`, read. https://platform.openai.com/docs/api-reference/chat/object */
import type { JsonObject } from '../../domain/request.ts';
import type { Block } from './block.ts';
import { numberOf, objectOf, objectsOf, parseJson, textOf } from './json.ts';
import { blocksOf } from './sequencer.ts';
import { readUsage, type TokenCounts } from './usage.ts';

/** What an answer is besides its blocks. A stream learns it chunk by chunk. */
export interface AnswerFacts {
  readonly id: string;
  readonly model: string;
  /** Unix seconds. */
  readonly created: number;
  readonly serviceTier: string | undefined;
  /** OpenAI's `finish_reason`. */
  readonly finishReason: string | undefined;
  /** The stop sequence that was met, where an upstream tells it (vLLM's `stop_reason`). */
  readonly stopSequence: string | undefined;
  readonly usage: TokenCounts | undefined;
}

export interface Reply extends AnswerFacts {
  readonly blocks: readonly Block[];
}

export const noFacts: AnswerFacts = {
  id: '',
  model: '',
  created: 0,
  serviceTier: undefined,
  finishReason: undefined,
  stopSequence: undefined,
  usage: undefined,
};

export function readReply(bytes: Buffer): Reply {
  const reply = objectOf(parseJson(bytes.toString()));
  const facts = addFacts(noFacts, reply);
  return { ...facts, blocks: blocksOf(firstChoice(reply), facts.id) };
}

/** Every translated format has one choice only. */
export const firstChoice = (chunk: JsonObject): JsonObject =>
  objectOf(objectsOf(chunk['choices']).find((choice) => (choice['index'] ?? 0) === 0));

/** What is known after one more chunk. */
export function addFacts(known: AnswerFacts, chunk: JsonObject): AnswerFacts {
  const choice = firstChoice(chunk);
  return {
    id: known.id === '' ? (textOf(chunk['id']) ?? '') : known.id,
    model: known.model === '' ? (textOf(chunk['model']) ?? '') : known.model,
    created: known.created === 0 ? (numberOf(chunk['created']) ?? 0) : known.created,
    serviceTier: textOf(chunk['service_tier']) ?? known.serviceTier,
    finishReason: textOf(choice['finish_reason']) ?? known.finishReason,
    stopSequence: textOf(choice['stop_reason']) ?? known.stopSequence,
    usage: readUsage(chunk['usage']) ?? known.usage,
  };
}
