/** Chunks of a streamed completion. https://platform.openai.com/docs/api-reference/completions/create#completions-create-stream */
import type { JsonObject } from '../../domain/request.ts';
import { type CanonicalEvent, readEvents } from '../canonical/events.ts';
import { envelopeOf, unexpectedEnd } from '../canonical/failure.ts';
import { numberOf, objectOf, objectsOf, textOf } from '../canonical/json.ts';
import type { DialectEncoder, ErrorEnvelope } from '../dialect.ts';
import { completion, completionChoice, saidText } from './reply.ts';

/** Every choice streams on its own, so a chunk becomes a chunk. */
export class CompletionsEncoder implements DialectEncoder {
  /** Characters told of each choice. */
  readonly #told = new Map<number, number>();
  #finished = false;
  #over = false;

  push(block: Buffer): Buffer {
    return Buffer.from(
      readEvents(block)
        .map((event) => this.#read(event))
        .join(''),
    );
  }

  end(): Buffer {
    if (this.#over) return Buffer.alloc(0);
    // Some servers forget `[DONE]`; a stated reason for finishing is as good.
    return Buffer.from(this.#finished ? this.#close('[DONE]') : this.#close(failure(unexpectedEnd)));
  }

  broken(envelope: ErrorEnvelope): Buffer {
    return Buffer.from(this.#over ? '' : this.#close(failure(envelope)));
  }

  #read(event: CanonicalEvent): string {
    if (this.#over) return '';
    switch (event.is) {
      case 'chunk':
        return this.#chunk(event.chunk);
      case 'error':
        return this.#close(failure(envelopeOf(event.error)));
      case 'done':
        return this.#close('[DONE]');
    }
  }

  #chunk(chunk: JsonObject): string {
    const choices = objectsOf(chunk['choices']).flatMap((choice) => this.#choice(choice));
    const counts = chunk['usage'] !== undefined && chunk['usage'] !== null;
    return choices.length === 0 && !counts ? '' : dataEvent(JSON.stringify(completion(chunk, choices)));
  }

  /** Chunks that say nothing here, such as the role or reasoning, are left out. */
  #choice(choice: JsonObject): JsonObject[] {
    const delta = objectOf(choice['delta']);
    const text = saidText(delta);
    const ends = textOf(choice['finish_reason']) !== undefined;
    this.#finished ||= ends;
    if (text === '' && !ends) return [];
    const index = numberOf(choice['index']) ?? 0;
    const offset = this.#told.get(index) ?? 0;
    this.#told.set(index, offset + text.length);
    return [completionChoice(choice, delta, offset)];
  }

  #close(data: string): string {
    this.#over = true;
    return dataEvent(data);
  }
}

const dataEvent = (data: string): string => `data: ${data}\n\n`;

const failure = (error: ErrorEnvelope): string => JSON.stringify({ error });
