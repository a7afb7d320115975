/** A stream of an upstream that a test plays itself: which bytes, when, and how it ends. */
import type { ChunkConsumer } from '../../../gateway/domain/answer.ts';
import type { RawConsumer, RawStream } from '../../../gateway/providers/transport.ts';

export class RawSource implements RawStream {
  readonly contentType = 'text/event-stream';
  readonly headers = {};
  paused = false;
  aborted: Error | undefined;
  #consumer: RawConsumer | undefined;

  start(consumer: RawConsumer): void {
    this.#consumer = consumer;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  abort(reason: Error): void {
    this.aborted = reason;
  }
  data(...pieces: readonly (string | Buffer)[]): void {
    for (const piece of pieces) this.#consumer?.data(typeof piece === 'string' ? Buffer.from(piece) : piece);
  }
  end(): void {
    this.#consumer?.end();
  }
  error(error: Error): void {
    this.#consumer?.error(error);
  }
}

/** What a client got of a stream, and how it ended for it. */
export class Received implements ChunkConsumer {
  readonly chunks: Buffer[] = [];
  ending: 'finished' | Error | undefined;
  endings = 0;

  chunk(bytes: Buffer): void {
    this.chunks.push(bytes);
  }
  finished(): void {
    this.ending = 'finished';
    this.endings++;
  }
  broken(error: Error): void {
    this.ending = error;
    this.endings++;
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}
