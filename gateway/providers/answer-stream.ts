/** A running stream between an upstream's connection and whoever reads it: decoded, held back until its first chunk. */
import type { ChunkConsumer, ChunkSource, Usage } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError, type UpstreamErrorKind } from '../domain/errors.ts';
import type { StreamDecoder, StreamPart } from './adapter.ts';
import { IdleWatch } from './idle-watch.ts';
import { isKeepAlive } from './keep-alive.ts';
import type { ModelStamp } from './model-stamp.ts';
import { isOpening } from './opening.ts';
import { OutputMeter } from './output-meter.ts';
import type { RawStream } from './transport.ts';
import { transportError } from './transport-error.ts';

/** Events ahead of an answer that are held back; whoever sends more is taken at his word. */
const longestOpening = 100;

export class AnswerStream implements ChunkSource {
  readonly #source: RawStream;
  readonly #decoder: StreamDecoder;
  readonly #deployment: Deployment;
  readonly #stamp: ModelStamp | undefined;
  #consumer: ChunkConsumer | undefined;
  /** Chunks that arrived before the consumer, and how the stream ended if it did. */
  #early: Buffer[] = [];
  #over: { readonly error: Error | undefined } | undefined;
  #usage: Usage | undefined;
  readonly #meter = new OutputMeter();
  readonly #watch: IdleWatch;
  #first: { resolve: () => void; reject: (error: Error) => void } | undefined;

  /** @param stamp for the model's name in chunks; undefined = the provider's own stays. */
  constructor(source: RawStream, decoder: StreamDecoder, deployment: Deployment, stamp?: ModelStamp) {
    this.#source = source;
    this.#decoder = decoder;
    this.#deployment = deployment;
    this.#stamp = stamp;
    this.#watch = new IdleWatch(deployment.streamIdleSeconds * 1000, (silentMs) =>
      this.#finish(this.#stalled(silentMs)),
    );
  }

  /**
   * Resolves when the answer has begun: a role or a comment is no answer. Until then a failure is a failed attempt.
   * @param timeoutMs for that chunk, whatever else arrives meanwhile.
   */
  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#finish(this.#firstTooLate()), timeoutMs);
      this.#first = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#source.start({
        data: (bytes) => this.#take(this.#over === undefined ? this.#decoder.push(bytes) : []),
        end: () => this.#take(this.#over === undefined ? this.#decoder.end() : []),
        error: (error) => this.#finish(transportError(error, this.#deployment)),
      });
    });
  }

  start(consumer: ChunkConsumer): void {
    this.#consumer = consumer;
    if (this.#over !== undefined && this.#over.error === undefined) consumer.finishing?.();
    for (const chunk of this.#early) consumer.chunk(chunk);
    this.#early = [];
    if (this.#over !== undefined) {
      this.#tellEnd(consumer, this.#over.error);
      return;
    }
    this.#watch.start();
    this.#source.resume();
  }

  pause(): void {
    this.#watch.pause();
    this.#source.pause();
  }

  resume(): void {
    this.#watch.resume();
    this.#source.resume();
  }

  abort(reason: Error): void {
    this.#watch.stop();
    this.#over ??= { error: reason };
    this.#consumer = undefined;
    this.#source.abort(reason);
  }

  usage(): Usage | undefined {
    return this.#usage;
  }

  unreportedTokens(): number {
    return this.#meter.unreportedTokens();
  }

  #take(parts: readonly StreamPart[]): void {
    const ends = parts.at(-1)?.is === 'end' && this.#over === undefined;
    if (ends) this.#announceEnd(parts);
    let withChunk = false;
    for (const part of parts) {
      if (this.#over !== undefined) return;
      switch (part.is) {
        case 'chunk':
          if (!isKeepAlive(part.bytes)) {
            withChunk = true;
            if (!ends) this.#meter.arrived(part.bytes);
          }
          this.#onChunk(part.bytes);
          break;
        case 'usage':
          this.#usage = part.usage;
          if (!ends) this.#meter.reported();
          break;
        case 'end':
          this.#finish(undefined);
          break;
        case 'error':
          this.#finish(part.error);
          break;
      }
    }
    this.#watch.heard(withChunk);
  }

  #announceEnd(parts: readonly StreamPart[]): void {
    // All of it counts before it is shown.
    for (const part of parts) {
      if (part.is === 'chunk') {
        if (!isKeepAlive(part.bytes)) this.#meter.arrived(part.bytes);
      } else if (part.is === 'usage') {
        this.#usage = part.usage;
        this.#meter.reported();
      }
    }
    this.#consumer?.finishing?.();
  }

  #onChunk(arrived: Buffer): void {
    const bytes = this.#stamp?.apply(arrived) ?? arrived;
    if (this.#consumer !== undefined) {
      this.#consumer.chunk(bytes);
      return;
    }
    this.#early.push(bytes);
    if (this.#first !== undefined && (this.#early.length > longestOpening || !isOpening(bytes))) {
      this.#source.pause();
      this.#first.resolve();
      this.#first = undefined;
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    this.#watch.stop();
    if (this.#first !== undefined) {
      this.#first.reject(error ?? this.#endedEmpty());
      this.#first = undefined;
    } else if (this.#consumer !== undefined) {
      this.#tellEnd(this.#consumer, error);
    }
    if (error !== undefined) this.#source.abort(error);
    // What is left of the response must be read, or its connection would stay paused and never be used again.
    else this.#source.resume();
  }

  #tellEnd(consumer: ChunkConsumer, error: Error | undefined): void {
    if (error === undefined) consumer.finished();
    else consumer.broken(error);
  }

  #firstTooLate(): UpstreamError {
    return this.#failure('timeout', 408, 'no first chunk in time');
  }

  #stalled(silentMs: number): UpstreamError {
    return this.#failure('timeout', 408, `the answer stalled: no chunk for ${Math.round(silentMs / 100) / 10} s`);
  }

  #endedEmpty(): UpstreamError {
    return this.#failure('unavailable', 502, 'the stream ended without an answer');
  }

  #failure(kind: UpstreamErrorKind, status: number, message: string): UpstreamError {
    return new UpstreamError({ kind, status, provider: this.#deployment.provider, message, mayBeBilled: true });
  }
}
