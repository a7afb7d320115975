/** The contract of a provider: maps both ways and does no I/O. One transport sends. */
import type { Usage } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamError } from '../domain/errors.ts';
import type { ClientApi, ModelRequest } from '../domain/request.ts';
import type { ByteSpan } from './json-bytes.ts';

export interface UpstreamCall {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where the method has none. */
  readonly body: Buffer;
  /** POST unless stated. */
  readonly method?: 'GET' | 'DELETE';
}

/** Headers of an upstream's answer by their names in lower case. */
export type UpstreamHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A complete HTTP answer of an upstream. */
export interface UpstreamResponse {
  readonly status: number;
  readonly contentType: string;
  readonly headers: UpstreamHeaders;
  readonly body: Buffer;
}

export interface WholeReply {
  readonly body: Buffer;
  readonly usage: Usage | undefined;
  /** Sound that was heard, milliseconds; where the provider tells it. */
  readonly heardMs?: number;
  /** Where the model's name stands in the body, when that is known. */
  readonly model?: ByteSpan | undefined;
}

/** A part of an answer that arrives piece by piece, in OpenAI's wire format whatever the provider speaks. */
export type StreamPart =
  /** Whole server-sent events for the client, blank lines included. */
  | { readonly is: 'chunk'; readonly bytes: Buffer }
  /** Token counts of the answer so far; the last one counts. */
  | { readonly is: 'usage'; readonly usage: Usage }
  /** The provider finished its answer properly; nothing follows. `[DONE]` was emitted as a chunk before. */
  | { readonly is: 'end' }
  | { readonly is: 'error'; readonly error: UpstreamError };

/** Reads one stream of one provider; holds its state, is used once, does no I/O and throws nothing. */
export interface StreamDecoder {
  /** Any piece of the upstream's bytes, cut anywhere. */
  push(bytes: Buffer): readonly StreamPart[];
  /** The connection was closed properly. Without a proper end of the answer before it, an error comes back. */
  end(): readonly StreamPart[];
}

/** A request that takes several calls, because the provider takes less at once, and how their answers become one. */
export interface Batches {
  /** At least one. */
  readonly calls: readonly UpstreamCall[];
  /**
   * @param responses in the order of the calls, all 2xx.
   * @throws UpstreamError when they do not carry an answer.
   */
  toReply(responses: readonly UpstreamResponse[]): WholeReply;
}

/** Maps between OpenAI's wire format and a provider's. */
export interface ProviderAdapter {
  /** @throws Refusal 400 that names the parameter which this provider cannot express. */
  toUpstream(request: ModelRequest, deployment: Deployment): UpstreamCall;
  /** Undefined = the request is one call, see `toUpstream` and `toReply`. @throws as `toUpstream`. */
  inBatches?(request: ModelRequest, deployment: Deployment): Batches | undefined;
  /** @throws UpstreamError when a 2xx does not carry an answer. */
  toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply;
  classify(response: UpstreamResponse, deployment: Deployment): UpstreamError;
  decoder(request: ModelRequest, deployment: Deployment): StreamDecoder;
  /** Endpoints for clients of other APIs; which of them a deployment has, it says itself (`speaks`). */
  readonly native?: Readonly<Partial<Record<ClientApi, NativeAdapter>>>;
}

/**
 * A provider's own endpoint for a client's API: the client's bytes go there as they are, and what comes back goes to the
 * client as it is, errors and incomplete streams apart. Errors are the provider's, whatever the endpoint.
 */
export interface NativeAdapter extends Pick<ProviderAdapter, 'toUpstream' | 'toReply' | 'decoder'> {
  /** The answers that the provider keeps, where it keeps any. */
  readonly kept?: KeptAnswers;
  /** Behind the path of `toUpstream`: where the same body is only counted, for nothing. */
  readonly countSuffix?: string;
}

/** Answers that can be read, continued and deleted later, by their ids. */
export interface KeptAnswers {
  /** @param id the provider's own. */
  toUpstream(question: KeptQuestion, id: string, deployment: Deployment): UpstreamCall;
  /** What the client gets; ids in it tell the deployment. */
  toClient(body: Buffer, deployment: Deployment): Buffer;
}

export interface KeptQuestion {
  readonly method: 'GET' | 'DELETE' | 'POST';
  /** Behind the id: `/cancel`, `/input_items` or nothing. */
  readonly suffix: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

/** What one event of a stream in OpenAI's format means for the gateway. */
export type EventMeaning =
  | { readonly is: 'content' }
  /** The stream's last word; nothing follows. */
  | { readonly is: 'end' }
  /** Token counts; `forClient` is false when only the gateway asked for them. */
  | { readonly is: 'usage'; readonly usage: Usage; readonly forClient: boolean }
  | { readonly is: 'error'; readonly error: UpstreamError };

/** How to read the few events of a stream that must not pass unseen. */
export interface EventRules {
  /** Reads one whole event, line ends included. */
  readEvent(event: Buffer, request: ModelRequest, deployment: Deployment): EventMeaning;
  /** Whether an event must be looked at by `readEvent`; the others are relayed unseen. Must be cheap. */
  isRemarkable(event: Buffer): boolean;
}

/** A provider whose streams already are in the client's format. */
export interface PassThroughAdapter extends ProviderAdapter, EventRules {}
