/** The result of a successful attempt. */
import type { CacheMark } from './answer-cache.ts';
import type { Deployment } from './deployment.ts';

/**
 * Token counts as OpenAI counts them, whoever answered: two totals, and parts of them that have prices of their own. A part
 * is left out when there was none of it, or when the provider does not tell.
 */
export interface Usage {
  /** Input of every kind: plain, read from a cache, written to one, audio. */
  readonly promptTokens: number;
  /** Output of every kind: text, reasoning, audio. */
  readonly completionTokens: number;
  /** Of `promptTokens`: read from the provider's prompt cache. */
  readonly cachedPromptTokens?: number;
  /** Of `promptTokens`: written to that cache; none of them is among `cachedPromptTokens`. */
  readonly cacheWriteTokens?: number;
  /** Of `cacheWriteTokens`: to be kept for an hour, which Anthropic's models charge more for than for five minutes. */
  readonly hourCacheWriteTokens?: number;
  /** Of `promptTokens`. */
  readonly audioPromptTokens?: number;
  /** Of `completionTokens`. */
  readonly reasoningTokens?: number;
  /** Of `completionTokens`. */
  readonly audioCompletionTokens?: number;
}

export interface WholeAnswer {
  readonly kind: 'whole';
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly usage: Usage | undefined;
  /** Sound that was heard, milliseconds; where the provider tells it. */
  readonly heardMs?: number;
  readonly upstreamHeaders?: PassedHeaders;
  /** Nobody was asked: it costs nothing, and must not be kept for others. */
  readonly mocked?: true;
  /** Already in the words of a client that speaks another API than chat completions. */
  readonly native?: true;
}

/** Headers of an upstream that clients may see: their names in lower case, their values printable ASCII. */
export type PassedHeaders = Readonly<Record<string, string>>;

/**
 * A stream exists only once its first chunk has arrived: before that a failure is a failed attempt and may be retried
 * elsewhere; after it the request ends with this stream. So there is no flag for "already committed".
 */
export interface StreamAnswer {
  readonly kind: 'stream';
  readonly contentType: string;
  readonly chunks: ChunkSource;
  readonly upstreamHeaders?: PassedHeaders;
  /** Nobody was asked: it costs nothing, and must not be kept for others. */
  readonly mocked?: true;
  /** Already in the words of a client that speaks another API than chat completions. */
  readonly native?: true;
}

export type Answer = WholeAnswer | StreamAnswer;

/** Whole events of a running stream, in order. Callbacks, since a promise per chunk would double the price of a chunk. */
export interface ChunkSource {
  /** Starts delivery, the first chunk included. Call once. Nothing is delivered before. */
  start(consumer: ChunkConsumer): void;
  pause(): void;
  resume(): void;
  /** Ends the upstream's connection; no further callback follows. */
  abort(reason: Error): void;
  /** What the upstream has reported so far. */
  usage(): Usage | undefined;
  /** Tokens of the answer that arrived since that report, estimated. Looks at the last chunks: for the end of a stream. */
  unreportedTokens(): number;
}

export interface ChunkConsumer {
  chunk(bytes: Buffer): void;
  /** The upstream has finished its answer, and what is left of it follows at once: the last chunks, then `finished`. */
  finishing?(): void;
  /** The upstream finished its answer. */
  finished(): void;
  /** The stream broke; the client must be told. */
  broken(error: Error): void;
}

/** How a request ended. */
export type Ending = 'finished' | 'broken' | 'abandoned' | 'failed';

/** An answer together with how it was reached. */
export interface Reached {
  readonly answer: Answer;
  readonly deployment: Deployment;
  readonly attempts: number;
  readonly fallbacks: number;
  /** Retries that the group which answered would have had. */
  readonly maxRetries: number;
  /** Spent in waiting: for upstreams, and between attempts. */
  readonly waitedMs: number;
  /** The deployment is no longer busy with this request. Idempotent. */
  readonly release: () => void;
  /** Absent when the response cache had nothing to do with it. */
  readonly cache?: CacheMark;
}
