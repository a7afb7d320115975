/** The life of one translated stream: when it begins, finishes or fails. What is written is the dialect's business. */
import type { JsonObject } from '../../domain/request.ts';
import type { DialectEncoder, ErrorEnvelope } from '../dialect.ts';
import { type BlockEvent, isCut } from './block.ts';
import { type CanonicalEvent, readEvents } from './events.ts';
import { envelopeOf, unexpectedEnd } from './failure.ts';
import { textOf } from './json.ts';
import { type AnswerFacts, addFacts, firstChoice, noFacts } from './reply.ts';
import { BlockSequencer } from './sequencer.ts';

/** Writes the events of a dialect as text. Holds the state of one stream. */
export interface StreamWriter {
  /** Once, with the first chunk. */
  begin(facts: AnswerFacts): string;
  /** @param cut the answer hit its token limit within this block. */
  block(event: BlockEvent, cut: boolean): string;
  /** Once, after everything else: only this may say that the answer is complete. */
  finish(facts: AnswerFacts): string;
  /** Instead of `finish`. Nothing follows. */
  fail(envelope: ErrorEnvelope): string;
}

const nothing = Buffer.alloc(0);

export class AnswerStream implements DialectEncoder {
  readonly #writer: StreamWriter;
  #facts = noFacts;
  #sequencer: BlockSequencer | undefined;
  #over = false;

  constructor(writer: StreamWriter) {
    this.#writer = writer;
  }

  push(block: Buffer): Buffer {
    let text = '';
    for (const event of readEvents(block)) text += this.#read(event);
    return text === '' ? nothing : Buffer.from(text);
  }

  end(): Buffer {
    if (this.#over) return nothing;
    // Some servers forget `[DONE]`; a stated reason for finishing is as good.
    if (this.#facts.finishReason !== undefined) return Buffer.from(this.#finish());
    return this.broken(unexpectedEnd);
  }

  broken(envelope: ErrorEnvelope): Buffer {
    return this.#over ? nothing : Buffer.from(this.#fail(envelope));
  }

  #read(event: CanonicalEvent): string {
    if (this.#over) return '';
    switch (event.is) {
      case 'chunk':
        return this.#readChunk(event.chunk);
      case 'done':
        return this.#sequencer === undefined ? this.#fail(unexpectedEnd) : this.#finish();
      case 'error':
        return this.#fail(envelopeOf(event.error));
    }
  }

  #readChunk(chunk: JsonObject): string {
    this.#facts = addFacts(this.#facts, chunk);
    let text = '';
    if (this.#sequencer === undefined) {
      this.#sequencer = new BlockSequencer(this.#facts.id);
      text += this.#writer.begin(this.#facts);
    }
    const choice = firstChoice(chunk);
    for (const event of this.#sequencer.read(choice)) text += this.#writer.block(event, false);
    // The counts come in a later chunk, so the blocks end here but not the answer.
    return textOf(choice['finish_reason']) === undefined ? text : text + this.#finishBlocks();
  }

  #finishBlocks(): string {
    const events = this.#sequencer?.finish() ?? [];
    const limited = this.#facts.finishReason === 'length';
    return events
      .map((event, index) => {
        const cut = limited && event.is === 'stop' && isCut(event.block, index === events.length - 1);
        return this.#writer.block(event, cut);
      })
      .join('');
  }

  #finish(): string {
    this.#over = true;
    return this.#finishBlocks() + this.#writer.finish(this.#facts);
  }

  #fail(envelope: ErrorEnvelope): string {
    this.#over = true;
    return this.#writer.fail(envelope);
  }
}
