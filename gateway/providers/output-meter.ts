/**
 * How many tokens of an answer have arrived that the provider has not reported. Most streams end with a report, so that
 * a chunk must cost next to nothing here: bytes are added up, and what they hold is told by the last of them, at the end.
 */
import { splitEvents } from './event-blocks.ts';
import { isObject, listOf, objectsOf, parseJson } from './json.ts';
import { dataOf } from './native/stream.ts';

/** Blocks that are kept to look at. They tell how much of an event is answer, which differs little within a stream. */
const sampledBlocks = 16;
/** A larger block is a sample by itself, so that little is held back of streams that come in large pieces. */
const largestOfSeveral = 4 * 1024;
/** What is looked at of one block; beyond it, what follows is taken to be like it. */
const lookedAtBytes = 64 * 1024;
/** Models of today have about four bytes of text to a token, and send at least one token with an event. */
const bytesPerToken = 4;

export class OutputMeter {
  #bytes = 0;
  #blocks = 0;
  #sample: Buffer[] = [];

  /** @param block whole events, of any of the APIs that clients speak; more than comments. */
  arrived(block: Buffer): void {
    this.#bytes += block.length;
    if (block.length > largestOfSeveral) {
      this.#sample = [block];
      this.#blocks = 0;
    } else {
      this.#sample[this.#blocks++ % sampledBlocks] = block;
    }
  }

  /** The provider has reported everything up to here. */
  reported(): void {
    this.#bytes = 0;
    this.#blocks = 0;
    this.#sample = [];
  }

  /** Estimated; 0 when nothing of an answer arrived since the last report. */
  unreportedTokens(): number {
    let seenBytes = 0;
    let textBytes = 0;
    let withText = 0;
    for (const block of this.#sample) {
      const looked = block.length <= lookedAtBytes ? splitEvents(block) : firstEvents(block);
      for (const event of looked) {
        const text = answerBytes(event);
        seenBytes += event.length;
        textBytes += text;
        if (text > 0) withText++;
      }
    }
    if (seenBytes === 0) return 0;
    return Math.round((this.#bytes / seenBytes) * Math.max(withText, textBytes / bytesPerToken));
  }
}

/** Those of a large block that fit into what is looked at; at least one. */
function firstEvents(block: Buffer): Buffer[] {
  const events = splitEvents(block.subarray(0, lookedAtBytes));
  // The last one is cut, unless it is the only one: then the block is one event, and nearly all of it is answer.
  return events.length > 1 ? events.slice(0, -1) : [block];
}

function answerBytes(event: Buffer): number {
  if (event.length > lookedAtBytes) return event.length;
  const data = parseJson(dataOf(event).toString());
  if (!isObject(data)) return 0;
  const choices = objectsOf(data['choices']);
  return [data['delta'], ...choices.flatMap((choice) => [choice['delta'], choice['text']])].reduce<number>(
    (sum, part) => sum + (typeof part === 'string' ? Buffer.byteLength(part) : textIn(part)),
    0,
  );
}

/** Members of a delta that are made by the model, in chat completions and in the Messages API, and what they stand in. */
const members = [
  'content',
  'refusal',
  'reasoning_content',
  'text',
  'thinking',
  'partial_json',
  'name',
  'arguments',
  'tool_calls',
  'function_call',
  'function',
];

function textIn(part: unknown): number {
  if (typeof part === 'string') return Buffer.byteLength(part);
  if (isObject(part)) return members.reduce((sum, member) => sum + textIn(part[member]), 0);
  return listOf(part).reduce<number>((sum, one) => sum + textIn(one), 0);
}
