/** Cuts a byte stream into whole server-sent events and relays them without touching the ones it need not read. */
import type { ChunkConsumer, ChunkSource, Usage } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { ProviderAdapter } from './adapter.ts';
import type { RawStream } from './transport.ts';
import { transportError } from './transport-error.ts';

const blankLine = Buffer.from('\n\n');
const blankLineCrLf = Buffer.from('\r\n\r\n');
const done = Buffer.from('data: [DONE]\n\n');
const dataLine = Buffer.from('\ndata:');
/** A line that begins with a colon. */
const commentMark = 0x3a;
/** An event larger than this is not an event. */
const largestEventBytes = 16 * 1024 * 1024;

export class EventStream implements ChunkSource {
  readonly #source: RawStream;
  readonly #adapter: ProviderAdapter;
  readonly #request: ModelRequest;
  readonly #deployment: Deployment;
  #partial: Buffer | undefined;
  #consumer: ChunkConsumer | undefined;
  /** Blocks that arrived before the consumer, and how the stream ended if it did. */
  #early: Buffer[] = [];
  #over: { readonly error: Error | undefined } | undefined;
  #usage: Usage | undefined;
  /** What was relayed last and before that: where a reason for finishing would stand. */
  #lastBlock: Buffer | undefined;
  #previousBlock: Buffer | undefined;
  #first: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(source: RawStream, adapter: ProviderAdapter, request: ModelRequest, deployment: Deployment) {
    this.#source = source;
    this.#adapter = adapter;
    this.#request = request;
    this.#deployment = deployment;
  }

  /**
   * Resolves when the first event that carries an answer has arrived; until then a failure is a failed attempt.
   * @param timeoutMs for that event, whatever comments arrive meanwhile.
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
        data: (bytes) => this.#onData(bytes),
        end: () => this.#onEnd(),
        error: (error) => this.#finish(transportError(error, this.#deployment)),
      });
    });
  }

  start(consumer: ChunkConsumer): void {
    this.#consumer = consumer;
    for (const block of this.#early) consumer.chunk(block);
    this.#early = [];
    if (this.#over !== undefined) this.#tellEnd(consumer, this.#over.error);
    else this.#source.resume();
  }

  pause(): void {
    this.#source.pause();
  }

  resume(): void {
    this.#source.resume();
  }

  abort(reason: Error): void {
    this.#over ??= { error: reason };
    this.#consumer = undefined;
    this.#source.abort(reason);
  }

  usage(): Usage | undefined {
    return this.#usage;
  }

  #onData(bytes: Buffer): void {
    if (this.#over !== undefined) return;
    const all = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const end = lastEventEnd(all);
    this.#partial = end === all.length ? undefined : all.subarray(end);
    if ((this.#partial?.length ?? 0) > largestEventBytes) {
      this.#finish(this.#brokenBy('one event is larger than 16 MiB'));
      return;
    }
    if (end > 0) this.#onBlock(end === all.length ? all : all.subarray(0, end));
  }

  /** One or more whole events. */
  #onBlock(block: Buffer): void {
    if (!this.#adapter.isRemarkable(block)) {
      this.#relay(block);
      return;
    }
    for (const event of splitEvents(block)) {
      if (this.#over !== undefined) return;
      if (this.#adapter.isRemarkable(event)) this.#onRemarkable(event);
      else this.#relay(event);
    }
  }

  #onRemarkable(event: Buffer): void {
    const meaning = this.#adapter.readEvent(event, this.#request, this.#deployment);
    switch (meaning.is) {
      case 'content':
        this.#relay(event);
        break;
      case 'usage':
        this.#usage = meaning.usage;
        if (meaning.forClient) this.#relay(event);
        break;
      case 'end':
        // An end before any answer is none; `#finish` says so.
        if (this.#first === undefined) this.#relay(event);
        this.#finish(undefined);
        break;
      case 'error':
        this.#finish(meaning.error);
        break;
    }
  }

  #relay(arrived: Buffer): void {
    // A comment only says that the upstream is alive; it does not commit to an answer.
    const block = this.#first === undefined ? arrived : withoutLeadingComments(arrived);
    if (block.length === 0) return;
    if (block[0] !== commentMark || block.includes(dataLine)) {
      this.#previousBlock = this.#lastBlock;
      this.#lastBlock = block;
    }
    if (this.#consumer !== undefined) {
      this.#consumer.chunk(block);
      return;
    }
    this.#early.push(block);
    if (this.#first !== undefined) {
      this.#source.pause();
      this.#first.resolve();
      this.#first = undefined;
    }
  }

  #onEnd(): void {
    if (this.#over !== undefined) return;
    // Some servers forget the blank line behind their last event.
    if (this.#partial !== undefined && isWhole(this.#partial)) {
      this.#onBlock(Buffer.concat([this.#partial, blankLine]));
    }
    this.#partial = undefined;
    if (this.#over !== undefined) return;
    // Others forget `[DONE]`; a stated reason for finishing is as good. Token counts may follow it.
    if ([this.#previousBlock, this.#lastBlock].some((block) => block !== undefined && saysFinished(block))) {
      this.#relay(done);
      this.#finish(undefined);
    } else {
      this.#finish(this.#brokenBy('the stream ended before its answer did'));
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    if (this.#first !== undefined) {
      this.#first.reject(error ?? this.#brokenBy('the stream ended without an answer'));
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
    const message = 'no first chunk in time';
    return new UpstreamError({ kind: 'timeout', status: 408, provider: this.#deployment.provider, message });
  }

  #brokenBy(message: string): UpstreamError {
    return new UpstreamError({ kind: 'unavailable', status: 502, provider: this.#deployment.provider, message });
  }
}

/** Position behind the last blank line; 0 when no event is complete. */
function lastEventEnd(bytes: Buffer): number {
  const lf = bytes.lastIndexOf(blankLine);
  const crLf = bytes.lastIndexOf(blankLineCrLf);
  return Math.max(lf === -1 ? 0 : lf + 2, crLf === -1 ? 0 : crLf + 4);
}

/** Whether the text behind the last blank line is an event that only lacks its own; a cut one must not be relayed. */
function isWhole(rest: Buffer): boolean {
  const data = rest
    .toString()
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .join('\n');
  if (data === '[DONE]') return true;
  try {
    JSON.parse(data);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

const saysFinished = (block: Buffer): boolean => /"finish_reason"\s*:\s*"/.test(block.toString());

function withoutLeadingComments(block: Buffer): Buffer {
  let start = 0;
  while (block[start] === commentMark) start = firstEventEnd(block, start);
  return block.subarray(start);
}

/** Position behind the first event that starts at `start`. */
function firstEventEnd(block: Buffer, start: number): number {
  const lf = block.indexOf(blankLine, start);
  const crLf = block.indexOf(blankLineCrLf, start);
  return Math.min(lf === -1 ? block.length : lf + 2, crLf === -1 ? block.length : crLf + 4);
}

/** The events of a block, each with its blank line. */
function splitEvents(block: Buffer): Buffer[] {
  const events: Buffer[] = [];
  let start = 0;
  while (start < block.length) {
    const end = firstEventEnd(block, start);
    events.push(block.subarray(start, end));
    start = end;
  }
  return events;
}
