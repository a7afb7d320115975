/**
 * Puts the name that the client asked for where a provider wrote its own: in `model` of answers and chunks. Bytes are
 * spliced and nothing is parsed or printed anew.
 */
import { type ByteSpan, findMember, replaceSpan } from './json-bytes.ts';

/** @param found where the value stands, when that is known already. */
export function stampWhole(body: Buffer, model: string, found?: ByteSpan): Buffer {
  const span = found ?? findMember(body, 0, 'model');
  if (span === undefined || body[span.start] !== quote) return body;
  const name = Buffer.from(JSON.stringify(model));
  return isSame(body, span, name) ? body : replaceSpan(body, span, name);
}

const quote = 0x22;
const lineFeed = 0x0a;
const bracketClose = 0x5d;
const braceClose = 0x7d;
const dataMark = Buffer.from('data:');

/**
 * For the chunks of one stream. From one chunk to the next the bytes before the model are the same, or at least those
 * behind the choices: they are looked for, with one native call, and copied with the name in place.
 */
export class ModelStamp {
  readonly #name: Buffer;
  /** Bytes that end with the model's value, and the same with the name; the latter is undefined where they are equal. */
  #known: Buffer | undefined;
  #stamped: Buffer | undefined;
  /** Whether those bytes begin the line. */
  #atStart = false;

  constructor(model: string) {
    this.#name = Buffer.from(JSON.stringify(model));
  }

  /** @param block whole events. @returns the block itself where nothing has to change. */
  apply(block: Buffer): Buffer {
    let pieces: Buffer[] | undefined;
    let copied = 0;
    let start = 0;
    while (start < block.length) {
      const feed = block.indexOf(lineFeed, start);
      const end = feed === -1 ? block.length : feed;
      const at = block[start] === dataMark[0] ? this.#find(block, start, end) : -1;
      if (at !== -1 && this.#stamped !== undefined && this.#known !== undefined) {
        const from = at + this.#known.length;
        // Nearly every block is one event.
        if (pieces === undefined && end + 2 >= block.length) {
          return replaceSpan(block, { start: at, end: from }, this.#stamped);
        }
        pieces ??= [];
        pieces.push(block.subarray(copied, at), this.#stamped);
        copied = from;
      }
      start = end + 1;
      while (block[start] === lineFeed) start++;
    }
    return pieces === undefined ? block : Buffer.concat([...pieces, block.subarray(copied)]);
  }

  /** Where the known bytes stand in this line, learnt anew where they are others; -1 in a line without a model. */
  #find(block: Buffer, start: number, end: number): number {
    const known = this.#known;
    if (known !== undefined) {
      if (!this.#atStart) {
        const at = block.indexOf(known, start);
        if (at !== -1 && at < end) return at;
      } else if (
        known.length <= end - start &&
        block.compare(known, 0, known.length, start, start + known.length) === 0
      ) {
        return start;
      }
    }
    return this.#learn(block, start, end);
  }

  #learn(block: Buffer, start: number, end: number): number {
    if (end - start < dataMark.length) return -1;
    if (block.compare(dataMark, 0, dataMark.length, start, start + dataMark.length) !== 0) return -1;
    const span = findMember(block, start + dataMark.length, 'model');
    if (span === undefined || span.end > end || block[span.start] !== quote) return -1;
    const nested = Math.max(block.lastIndexOf(bracketClose, span.start), block.lastIndexOf(braceClose, span.start));
    // Choices that come first differ from chunk to chunk.
    this.#atStart = nested < start;
    const from = this.#atStart ? start : nested;
    this.#known = Buffer.from(block.subarray(from, span.end));
    this.#stamped = isSame(block, span, this.#name)
      ? undefined
      : Buffer.concat([block.subarray(from, span.start), this.#name]);
    return from;
  }
}

const isSame = (bytes: Buffer, span: ByteSpan, value: Buffer): boolean =>
  span.end - span.start === value.length && bytes.compare(value, 0, value.length, span.start, span.end) === 0;
