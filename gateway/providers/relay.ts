/** One exchange that is passed on piece by piece, in both directions, without holding more than a piece of it. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Transport } from './transport.ts';

export interface RelayCall {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Readable | null;
  /** To the head of the answer, and between two pieces of it, milliseconds. */
  readonly timeoutMs: number;
}

/** Callbacks in order; after `end` or `error` none follows. */
export interface RelaySink {
  head(status: number, headers: IncomingHttpHeaders): void;
  /** @returns false when the client must catch up first; then `resume` is called. */
  data(bytes: Buffer): boolean;
  end(): void;
  /** The transport's error, or the signal's reason. */
  error(error: Error): void;
}

/** Redirects are answers like any other. */
export class Relay implements Dispatcher.DispatchHandler {
  readonly #sink: RelaySink;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#abort(reasonOf(this.#signal));
  #controller: Dispatcher.DispatchController | undefined;

  private constructor(sink: RelaySink, signal: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort);
  }

  /** The signal ends the exchange at once. */
  static start(transport: Transport, call: RelayCall, signal: AbortSignal, sink: RelaySink): Relay {
    const relay = new Relay(sink, signal);
    const { origin, path, headers, body, timeoutMs } = call;
    transport.dispatch(
      origin,
      { path, method: call.method, headers, body, headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
      relay,
    );
    return relay;
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal.aborted) controller.abort(reasonOf(this.#signal));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status >= 200) this.#sink.head(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (!this.#sink.data(bytes)) controller.pause();
  }

  onResponseEnd(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#sink.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#sink.error(this.#signal.aborted ? reasonOf(this.#signal) : error);
  }

  /** Without a controller the request still waits for a connection; `onRequestStart` will end it. */
  #abort(reason: Error): void {
    this.#controller?.abort(reason);
  }
}

const reasonOf = ({ reason }: AbortSignal): Error => (reason instanceof Error ? reason : new Error(String(reason)));
