/** The one place that talks to upstreams. It sends bytes, enforces the timers, and reports what came back. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import type { UpstreamCall, UpstreamHeaders, UpstreamResponse } from './adapter.ts';

export interface Timers {
  /** To the response's headers, milliseconds. */
  readonly firstByteMs: number;
  /** Between two pieces of a body, milliseconds. */
  readonly idleMs: number;
  /** To the end of a whole answer, however it trickles in, milliseconds; a stream is only bound to `idleMs`. */
  readonly wholeMs: number;
}

/** A whole answer was not complete in time. */
export class AnswerTimeout extends Error {
  readonly code = 'HOLDFAST_ANSWER_TIMEOUT';
  constructor(milliseconds: number) {
    super(`no complete answer within ${milliseconds} ms`);
    this.name = 'AnswerTimeout';
  }
}

/** A response that is still arriving. One consumer, callbacks in order; after `end` or `error` none follows. */
export interface RawStream {
  readonly contentType: string;
  readonly headers: UpstreamHeaders;
  start(consumer: RawConsumer): void;
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

export interface RawConsumer {
  data(bytes: Buffer): void;
  end(): void;
  error(error: Error): void;
}

export type Reply =
  | { readonly kind: 'whole'; readonly response: UpstreamResponse }
  | { readonly kind: 'stream'; readonly stream: RawStream };

/** Server-sent events, and AWS's binary ones. */
const streamTypes = ['text/event-stream', 'application/vnd.amazon.eventstream'];

const connectTimeoutMs = 2_000;
/** Larger answers than this are a fault of the upstream, and would be a fault of ours to keep in memory. */
const largestAnswerBytes = 64 * 1024 * 1024;
/** Named, so that the client is told more than "no usable answer". */
class AnswerTooLarge extends Error {
  readonly code = 'HOLDFAST_ANSWER_TOO_LARGE';
}
/** Shorter than the idle time of common servers and load balancers, so that we seldom write into a closing connection. */
const keepAliveMs = 4_000;

export class Transport {
  readonly #pools = new Map<string, Pool>();

  /**
   * Sends a call. Resolves with a whole response, or, for a 2xx event stream, as soon as its headers are there.
   * @throws the transport's error (connect, time-out, reset), or the signal's reason.
   */
  send(call: UpstreamCall, timers: Timers, signal: AbortSignal): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(asError(signal.reason));
        return;
      }
      this.#pool(call.origin).dispatch(
        {
          path: call.path,
          method: call.method ?? 'POST',
          headers: call.headers,
          body: call.method === undefined ? call.body : null,
          headersTimeout: timers.firstByteMs,
          bodyTimeout: timers.idleMs,
        },
        new Exchange(resolve, reject, signal, timers.wholeMs),
      );
    });
  }

  /** For exchanges that are passed on piece by piece; the handler is told everything. */
  dispatch(
    origin: string,
    options: Omit<Dispatcher.DispatchOptions, 'origin'>,
    handler: Dispatcher.DispatchHandler,
  ): void {
    this.#pool(origin).dispatch(options, handler);
  }

  /** Ends every connection; call after the last request. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #pool(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (pool === undefined) {
      pool = new Pool(origin, {
        // As many connections as there are requests: a bounded pool would queue inside, unseen and without a limit.
        connections: null,
        pipelining: 1,
        // Many streams on one connection would all die with it.
        allowH2: false,
        connect: { timeout: connectTimeoutMs },
        keepAliveTimeout: keepAliveMs,
        maxResponseSize: -1,
      });
      this.#pools.set(origin, pool);
    }
    return pool;
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

/** One request's side of the connection. */
class Exchange implements Dispatcher.DispatchHandler, RawStream {
  contentType = '';
  headers: IncomingHttpHeaders = {};
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: Error) => void;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.abort(asError(this.#signal.reason));
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  /** Why nobody waits any more, when that happened before there was a connection. */
  #gone: Error | undefined;
  #status = 0;
  #pieces: Buffer[] = [];
  #size = 0;
  #streaming = false;
  #consumer: RawConsumer | undefined;
  /** What happened to a stream before anybody listened. */
  #over: { readonly error?: Error } | undefined;

  constructor(resolve: (reply: Reply) => void, reject: (error: Error) => void, signal: AbortSignal, wholeMs: number) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#timer = setTimeout(() => this.abort(new AnswerTimeout(wholeMs)), wholeMs);
    signal.addEventListener('abort', this.#onAbort);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The signal may have fired while the request waited for a connection.
    if (this.#gone !== undefined) controller.abort(this.#gone);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.contentType = headers['content-type'] ?? '';
    this.headers = headers;
    if (status < 300 && streamTypes.some((type) => this.contentType.startsWith(type))) {
      this.#streaming = true;
      clearTimeout(this.#timer);
      this.#resolve({ kind: 'stream', stream: this });
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#consumer !== undefined) {
      this.#consumer.data(bytes);
      return;
    }
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    if (this.#size > largestAnswerBytes) controller.abort(new AnswerTooLarge());
  }

  onResponseEnd(): void {
    this.#release();
    if (this.#streaming) {
      this.#over = {};
      this.#consumer?.end();
      return;
    }
    const body =
      this.#pieces.length === 1 && this.#pieces[0] !== undefined ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#resolve({
      kind: 'whole',
      response: { status: this.#status, contentType: this.contentType, headers: this.headers, body },
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#release();
    if (this.#streaming) {
      this.#over = { error };
      this.#consumer?.error(error);
    } else {
      this.#reject(this.#signal.aborted ? asError(this.#signal.reason) : error);
    }
  }

  start(consumer: RawConsumer): void {
    this.#consumer = consumer;
    const early = this.#pieces;
    this.#pieces = [];
    for (const bytes of early) consumer.data(bytes);
    if (this.#over?.error !== undefined) consumer.error(this.#over.error);
    else if (this.#over !== undefined) consumer.end();
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(reason: Error): void {
    // Without a controller the request still waits for a connection; `onRequestStart` will end it.
    if (this.#controller === undefined) {
      this.#gone = reason;
      this.#release();
      this.#reject(reason);
    } else {
      this.#controller.abort(reason);
    }
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
