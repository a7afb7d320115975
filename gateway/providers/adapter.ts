/** The contract of a provider: maps both ways and does no I/O. One transport sends. */
import type { Usage } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';

export interface UpstreamCall {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A complete HTTP answer of an upstream. */
export interface UpstreamResponse {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
}

export interface WholeReply {
  readonly body: Buffer;
  readonly usage: Usage | undefined;
}

/** What one event of a stream means for the gateway. */
export type EventMeaning =
  | { readonly is: 'content' }
  /** The stream's last word; nothing follows. */
  | { readonly is: 'end' }
  /** Token counts; `forClient` is false when only the gateway asked for them. */
  | { readonly is: 'usage'; readonly usage: Usage; readonly forClient: boolean }
  | { readonly is: 'error'; readonly error: UpstreamError };

export interface ProviderAdapter {
  toUpstream(request: ModelRequest, deployment: Deployment): UpstreamCall;
  /** @throws UpstreamError when a 2xx does not carry an answer. */
  toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply;
  classify(response: UpstreamResponse, deployment: Deployment): UpstreamError;
  /** Reads one whole event of a stream, line ends included. */
  readEvent(event: Buffer, request: ModelRequest, deployment: Deployment): EventMeaning;
  /** Whether an event must be looked at by `readEvent`; the others are relayed unseen. Must be cheap. */
  isRemarkable(event: Buffer): boolean;
}
