/**
 * Streams of a provider that speaks the client's API: whole events are relayed as they came. What is said before the
 * answer itself is held back until the answer begins, so that a failure until then can still be tried elsewhere.
 */
import type { Usage } from '../../domain/answer.ts';
import type { Deployment } from '../../domain/deployment.ts';
import type { UpstreamError } from '../../domain/errors.ts';
import type { StreamDecoder, StreamPart } from '../adapter.ts';
import { blankLine, EventBlocks, splitEvents, tooLarge, withoutLeadingComments } from '../event-blocks.ts';
import { brokenStream } from '../vendor-error.ts';

/** What one event means. */
export interface Reading {
  /** For the client, instead of the event's own bytes. */
  readonly bytes?: Buffer;
  readonly usage?: Usage;
  /** Said before the answer: it commits to nothing. */
  readonly opening?: true;
  /** The answer ended properly with this event. */
  readonly last?: true;
  /** The provider gave up. The event is shown to the client only once the answer has begun, and if `shown`. */
  readonly error?: UpstreamError;
  readonly shown?: true;
}

/** How to read the events of one API. */
export interface NativeRules {
  /** Whether `read` must see an event of a running answer; the others are relayed unseen. Must be cheap. */
  isRemarkable(block: Buffer): boolean;
  /** @param data of one event. */
  read(event: Buffer, data: Buffer, deployment: Deployment): Reading;
}

const dataMark = Buffer.from('data:');

/** Holds the state of one stream. */
export class NativeStream implements StreamDecoder {
  readonly #rules: NativeRules;
  readonly #deployment: Deployment;
  readonly #events = new EventBlocks();
  /** What the provider said before its answer; undefined once that has begun. */
  #opening: Buffer[] | undefined = [];
  #over = false;

  constructor(rules: NativeRules, deployment: Deployment) {
    this.#rules = rules;
    this.#deployment = deployment;
  }

  push(bytes: Buffer): readonly StreamPart[] {
    const parts: StreamPart[] = [];
    if (this.#over) return parts;
    const block = this.#events.push(bytes);
    if (block === undefined) this.#break(tooLarge, parts);
    else if (block.length > 0) this.#onBlock(block, parts);
    return parts;
  }

  end(): readonly StreamPart[] {
    const parts: StreamPart[] = [];
    if (this.#over) return parts;
    // Some servers forget the blank line behind their last event; what is cut ends no answer and is not relayed.
    const rest = this.#events.rest();
    if (rest !== undefined) {
      const event = Buffer.concat([rest, blankLine]);
      const { last, error } = this.#rules.read(event, dataOf(event), this.#deployment);
      if (last === true || error !== undefined) this.#onEvent(event, parts);
    }
    if (!this.#over) this.#break('the stream ended before its answer did', parts);
    return parts;
  }

  /** One or more whole events. */
  #onBlock(block: Buffer, parts: StreamPart[]): void {
    if (this.#opening === undefined && !this.#rules.isRemarkable(block)) {
      parts.push({ is: 'chunk', bytes: block });
      return;
    }
    for (const event of splitEvents(block)) {
      if (this.#over) return;
      if (this.#opening === undefined && !this.#rules.isRemarkable(event)) parts.push({ is: 'chunk', bytes: event });
      else this.#onEvent(event, parts);
    }
  }

  #onEvent(event: Buffer, parts: StreamPart[]): void {
    if (this.#opening !== undefined && withoutLeadingComments(event).length === 0) return;
    const reading = this.#rules.read(event, dataOf(event), this.#deployment);
    if (reading.usage !== undefined) parts.push({ is: 'usage', usage: reading.usage });
    const bytes = reading.bytes ?? event;
    if (reading.error !== undefined) {
      if (reading.shown === true && this.#opening === undefined) parts.push({ is: 'chunk', bytes });
      this.#over = true;
      parts.push({ is: 'error', error: reading.error });
    } else if (reading.opening === true && this.#opening !== undefined) {
      this.#opening.push(bytes);
    } else {
      const held = this.#opening ?? [];
      this.#opening = undefined;
      parts.push({ is: 'chunk', bytes: held.length === 0 ? bytes : Buffer.concat([...held, bytes]) });
      if (reading.last !== true) return;
      this.#over = true;
      parts.push({ is: 'end' });
    }
  }

  #break(message: string, parts: StreamPart[]): void {
    this.#over = true;
    parts.push({ is: 'error', error: brokenStream(message, this.#deployment) });
  }
}

/** The data of one event; several lines of it are one text, which JSON allows to be cut at any white space. */
export function dataOf(event: Buffer): Buffer {
  const start = event.indexOf(dataMark);
  if (start === -1 || (start > 0 && event[start - 1] !== 0x0a && event[start - 1] !== 0x0d)) return nothing;
  const rest = event.subarray(start + dataMark.length);
  if (rest.includes('\ndata:')) return Buffer.from(rest.toString().replaceAll(/\r?\ndata:/g, ' '));
  const end = rest.indexOf(0x0a);
  return end === -1 ? rest : rest.subarray(0, rest[end - 1] === 0x0d ? end - 1 : end);
}

const nothing = Buffer.alloc(0);
