/**
 * One upstream's stream for several readers, and for the cache. Chunks are kept until every reader has them, and from the
 * beginning as long as they fit into an entry: so long, new readers may join.
 */
import type { ChunkConsumer, ChunkSource, Usage } from '../domain/answer.ts';

export interface SharedStreamOptions {
  readonly source: ChunkSource;
  readonly maxEntryBytes: number;
  /** Once: all of it when it finished and fits, else undefined. */
  readonly onOver: (whole: Buffer | undefined) => void;
  /** No reader is left; the upstream was let go. */
  readonly onAbandoned: () => void;
}

/** How far the fastest reader may be ahead of the slowest, when the stream is too large to be kept. */
const slackBytes = 1024 * 1024;

export class SharedStream {
  readonly #options: SharedStreamOptions;
  readonly #readers = new Set<Reader>();
  readonly #chunks: Buffer[] = [];
  /** Number of the first chunk that is still here; above 0, nobody can join. */
  #firstChunk = 0;
  #keptBytes = 0;
  #totalBytes = 0;
  #started = false;
  #paused = false;
  #over: { readonly error: Error | undefined } | undefined;

  constructor(options: SharedStreamOptions) {
    this.#options = options;
  }

  get joinable(): boolean {
    return this.#firstChunk === 0 && this.#over === undefined && this.#totalBytes <= this.#options.maxEntryBytes;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** @param onLeave called when this reader goes before the end. */
  join(onLeave: (reason: Error) => void): Reader {
    const reader = new Reader(this, onLeave);
    this.#readers.add(reader);
    return reader;
  }

  begin(): void {
    if (this.#started) return;
    this.#started = true;
    this.#options.source.start({
      chunk: (bytes) => this.#onChunk(bytes),
      finished: () => this.#onOver(undefined),
      broken: (error) => this.#onOver(error),
    });
  }

  /** @returns the chunk of this number; undefined when it has not come yet. */
  chunkAt(number: number): Buffer | undefined {
    return this.#chunks[number - this.#firstChunk];
  }

  get over(): { readonly error: Error | undefined } | undefined {
    return this.#over;
  }

  usage(): Usage | undefined {
    return this.#options.source.usage();
  }

  unreportedTokens(): number {
    return this.#options.source.unreportedTokens();
  }

  /** A reader has taken chunks, or has gone. */
  moved(): void {
    if (this.#totalBytes > this.#options.maxEntryBytes) this.#forget();
    const tooFar = this.#totalBytes > this.#options.maxEntryBytes && this.#keptBytes > slackBytes;
    if (tooFar === this.#paused || this.#over !== undefined) return;
    this.#paused = tooFar;
    if (tooFar) this.#options.source.pause();
    else this.#options.source.resume();
  }

  leave(reader: Reader, reason: Error): void {
    if (!this.#readers.delete(reader)) return;
    if (this.#readers.size > 0) {
      this.moved();
      return;
    }
    if (this.#over !== undefined) return;
    this.#over = { error: reason };
    this.#options.source.abort(reason);
    this.#options.onAbandoned();
  }

  #onChunk(bytes: Buffer): void {
    if (this.#over !== undefined) return;
    this.#chunks.push(bytes);
    this.#keptBytes += bytes.length;
    this.#totalBytes += bytes.length;
    for (const reader of this.#readers) reader.wake();
    this.moved();
  }

  #onOver(error: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    const fits = error === undefined && this.#firstChunk === 0 && this.#totalBytes <= this.#options.maxEntryBytes;
    this.#options.onOver(fits ? Buffer.concat(this.#chunks) : undefined);
    for (const reader of this.#readers) reader.wake();
  }

  /** Drops what every reader has. */
  #forget(): void {
    let slowest = this.#firstChunk + this.#chunks.length;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.next);
    const dropped = this.#chunks.splice(0, slowest - this.#firstChunk);
    this.#firstChunk = slowest;
    for (const chunk of dropped) this.#keptBytes -= chunk.length;
  }
}

/** One reader's view. */
export class Reader implements ChunkSource {
  readonly #stream: SharedStream;
  readonly #onLeave: (reason: Error) => void;
  #consumer: ChunkConsumer | undefined;
  #paused = false;
  #pumping = false;
  #done = false;
  /** Told to whoever starts to read too late. */
  #failure: Error | undefined;
  /** Number of the chunk that comes next. */
  next = 0;

  constructor(stream: SharedStream, onLeave: (reason: Error) => void) {
    this.#stream = stream;
    this.#onLeave = onLeave;
  }

  start(consumer: ChunkConsumer): void {
    this.#consumer = consumer;
    if (this.#failure !== undefined) {
      consumer.broken(this.#failure);
      return;
    }
    this.#stream.begin();
    this.wake();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.wake();
    this.#stream.moved();
  }

  abort(reason: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#onLeave(reason);
    this.#stream.leave(this, reason);
  }

  /** The reader's own time is over, or its client has gone: it ends, the stream goes on for the others. */
  fail(reason: Error): void {
    if (this.#done) return;
    this.abort(reason);
    if (this.#consumer === undefined) this.#failure = reason;
    else this.#consumer.broken(reason);
  }

  usage(): Usage | undefined {
    return this.#stream.usage();
  }

  unreportedTokens(): number {
    return this.#stream.unreportedTokens();
  }

  /** Hands over what there is, as far as the consumer takes it. */
  wake(): void {
    // A consumer may pause or leave in the middle of a chunk, and a pause ends in here again.
    if (this.#pumping || this.#consumer === undefined) return;
    this.#pumping = true;
    for (;;) {
      const chunk = this.#paused || this.#done ? undefined : this.#stream.chunkAt(this.next);
      if (chunk === undefined) break;
      this.next++;
      this.#consumer.chunk(chunk);
    }
    this.#pumping = false;
    const { over } = this.#stream;
    if (over === undefined || this.#done || this.#paused) return;
    this.#done = true;
    if (over.error === undefined) this.#consumer.finished();
    else this.#consumer.broken(over.error);
  }
}
