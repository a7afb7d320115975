/** The response cache as the pipeline sees it. */
import type { Reached, Usage } from './answer.ts';
import type { Deployment } from './deployment.ts';
import type { Caller, ModelRequest } from './request.ts';

/** How the cache took part in an answer. */
export interface CacheMark {
  /** SHA-256, hex, of everything that the answer depends on, the tenant included. */
  readonly key: string;
  /**
   * Whether somebody else's call answers, so that nothing is billed for this request. Asked when the request is settled
   * and not before: of several that share one call, whoever called first may leave.
   */
  isHit(): boolean;
}

export interface CacheQuestion {
  readonly request: ModelRequest;
  readonly caller: Caller;
  /** Model group that the request's name stands for. */
  readonly group: string;
  /** On the clock of the pipeline. */
  readonly deadlineMs: number;
  /** Fires at the deadline, and when the client leaves. */
  readonly signal: AbortSignal;
  /** Asks a model. The signal ends the call; the answer belongs to whoever called. */
  readonly ask: (signal: AbortSignal) => Promise<Reached>;
}

export interface AnswerCache {
  /** What this process has in memory; undefined when that is nothing, or when `answer` will refuse. Never throws. */
  recall(question: Pick<CacheQuestion, 'request' | 'caller' | 'group'>): Reached | undefined;
  /**
   * An answer from the cache, from a call that somebody else has under way, or from `ask`.
   * @throws Refusal for cache controls that cannot be followed; LeftWaiting; whatever `ask` throws.
   */
  answer(question: CacheQuestion): Promise<Reached>;
}

/** The client left, or its time was over, while another request's call went on: nothing was asked for this one. */
export class LeftWaiting extends Error {
  readonly reason: Error;
  constructor(reason: Error) {
    super(reason.message, { cause: reason });
    this.name = 'LeftWaiting';
    this.reason = reason;
  }
}

/** An answer as it is kept. */
export interface CacheEntry {
  readonly kind: 'whole' | 'stream';
  readonly contentType: string;
  /** In the words of the client's own API. */
  readonly native?: true | undefined;
  readonly usage: Usage | undefined;
  /** Who gave it. When it is no longer configured, the answer does not count any more. */
  readonly deploymentId: string;
  /** Wall clock, milliseconds. */
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** Of a stream: all of its events. */
  readonly body: Buffer;
}

export type FindDeployment = (id: string, group: string, asked: string) => Deployment | undefined;

/** What a look into the shared store found. */
export type StoreLook =
  | { readonly is: 'found'; readonly bytes: Buffer }
  /** Nothing there, and nobody else is told to ask a model for it until the lock ends. */
  | { readonly is: 'yours' }
  /** Nothing there, and somebody else asks. */
  | { readonly is: 'awaited' }
  /** Nothing is known: the store does not answer. */
  | { readonly is: 'away' };

/** What administrators may do. Everything but `forget` throws when the store does not answer. */
export interface CacheAdministration {
  readonly kind: 'local' | 'redis';
  /** Writes, reads and removes something. */
  ping(): Promise<void>;
  /** By the keys that answers named; copies in other processes are gone within two seconds. */
  remove(keys: readonly string[]): Promise<void>;
  /** Every entry of this namespace, and nothing else that the store holds. @returns how many. */
  removeAll(): Promise<number>;
  /** Facts about the store, as it tells them; undefined without one. */
  info(): Promise<Readonly<Record<string, string>> | undefined>;
}

/** @param keys undefined = all. */
export type ForgetAnswers = (keys: readonly string[] | undefined) => void;

/** The other processes of one start, which have caches of their own. */
export interface CacheSiblings {
  /** They forget the same, in milliseconds. */
  removed(keys: readonly string[] | undefined): void;
  /** One of them removed something. */
  onRemoved(forget: ForgetAnswers): void;
}

/** Entries that processes share. Nothing here rejects or waits for long: without the store, processes are on their own. */
export interface CacheStore {
  /** @param lock to be the one that asks a model, when given. */
  look(key: string, lock: { readonly token: string; readonly forMs: number } | undefined): Promise<StoreLook>;
  /** In the background; given up when too much is under way. Frees the lock of this token, if one is given. */
  keep(key: string, bytes: Buffer, ttlMs: number, token: string | undefined): void;
  unlock(key: string, token: string): void;
}
