/** A stream that is already known: all of its events at once. */
import type { ChunkConsumer, ChunkSource, Usage } from '../domain/answer.ts';

export class Replay implements ChunkSource {
  readonly #events: Buffer;
  readonly #usage: Usage | undefined;

  constructor(events: Buffer, usage: Usage | undefined) {
    this.#events = events;
    this.#usage = usage;
  }

  /** One write: an entry is bounded, so that pausing in the middle would gain nothing. */
  start(consumer: ChunkConsumer): void {
    consumer.chunk(this.#events);
    consumer.finished();
  }

  pause(): void {}
  resume(): void {}
  abort(): void {}

  usage(): Usage | undefined {
    return this.#usage;
  }

  unreportedTokens(): number {
    return 0;
  }
}
