/** The response cache: memory first, then the store that processes share, then one call for all who ask the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Answer, Reached } from '../domain/answer.ts';
import {
  type AnswerCache,
  type CacheEntry,
  type CacheQuestion,
  type CacheStore,
  type FindDeployment,
  LeftWaiting,
} from '../domain/answer-cache.ts';
import type { CacheSettings } from '../domain/cache-settings.ts';
import { Refusal } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';
import { cacheKey } from './cache-key.ts';
import { type CacheControls, readControls } from './controls.ts';
import { decodeEntry, encodeEntry } from './entry.ts';
import { FailedElsewhere, Flight, type Landing } from './flight.ts';
import { Replay } from './replay.ts';
import { SharedStream } from './shared-stream.ts';

export interface ResponseCacheOptions {
  readonly settings: CacheSettings;
  /** Undefined = each process is on its own. */
  readonly store: CacheStore | undefined;
  readonly findDeployment: FindDeployment;
  /** The pipeline's clock. */
  readonly now: () => number;
  /** Wall clock, milliseconds. */
  readonly wallNow: () => number;
  /** Names this process's locks. */
  readonly newToken: () => string;
}

/**
 * With a shared store, an entry in memory is a copy, and a copy that was deleted in the store must not be served for long.
 */
const longestCopyMs = 60_000;
/** Another process's call is waited for so long, and never longer than half of the time that the request has left. */
const longestLockMs = 10_000;
const firstPauseMs = 50;
const longestPauseMs = 250;
/** An entry in memory costs more than its body. */
const entryOverheadBytes = 1_000;

type Asked = Pick<CacheQuestion, 'request' | 'caller' | 'group'>;

/** Where the answer to a request is kept, and what the request says about that. */
interface Filed {
  readonly key: string;
  readonly controls: CacheControls;
}

export class ResponseCache implements AnswerCache {
  readonly #options: ResponseCacheOptions;
  readonly #memory: LRUCache<string, CacheEntry>;
  readonly #flights = new Map<string, Flight>();
  /** Of requests that run: they are looked up before their call is written down, and again when it is made. */
  readonly #files = new WeakMap<ModelRequest, Filed>();

  constructor(options: ResponseCacheOptions) {
    this.#options = options;
    this.#memory = new LRUCache({
      maxSize: options.settings.maxMemoryBytes,
      sizeCalculation: ({ body }) => body.length + entryOverheadBytes,
    });
  }

  recall(question: Asked): Reached | undefined {
    try {
      return this.#recall(this.#filed(question), question);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  async answer(question: CacheQuestion): Promise<Reached> {
    const file = this.#filed(question);
    if (file === undefined) return question.ask(question.signal);
    const hit = this.#recall(file, question);
    if (hit !== undefined) return hit;
    const { key, controls } = file;
    return controls.coalesce ? this.#together(key, controls, question) : this.#alone(key, controls, question);
  }

  /** Undefined for a request that has nothing to do with the cache. @throws Refusal */
  #filed(question: Asked): Filed | undefined {
    const { request, caller, group } = question;
    const before = this.#files.get(request);
    if (before !== undefined) return before;
    const { settings } = this.#options;
    const controls = readControls(request, caller, settings);
    if (controls === undefined) return undefined;
    const file = { key: cacheKey(request, caller, group, settings.scope, controls.namespace), controls };
    this.#files.set(request, file);
    return file;
  }

  #recall(file: Filed | undefined, question: Asked): Reached | undefined {
    const known = file?.controls.read === true ? this.#memory.get(file.key) : undefined;
    return file === undefined || known === undefined
      ? undefined
      : this.#replay(file.key, known, file.controls, question);
  }

  /** Forgets entries of this process. @returns how many there were. */
  forget(keys?: readonly string[]): number {
    const before = this.#memory.size;
    if (keys === undefined) this.#memory.clear();
    else for (const key of keys) this.#memory.delete(key);
    return before - this.#memory.size;
  }

  /** With everybody who asks the same. A call that failed for another is made once more together, then alone. */
  async #together(key: string, controls: CacheControls, question: CacheQuestion): Promise<Reached> {
    for (let round = 0; round < 2; round++) {
      const under = this.#flights.get(key);
      const flight = under?.joinable === true ? under : this.#launch(key, controls, question);
      try {
        return await flight.board(question.signal, (entry) => this.#replay(key, entry, controls, question));
      } catch (error) {
        if (!(error instanceof FailedElsewhere)) throw error;
      }
    }
    return this.#alone(key, controls, question);
  }

  #launch(key: string, controls: CacheControls, question: CacheQuestion): Flight {
    const token = this.#options.newToken();
    const flight = new Flight({
      key,
      maxEntryBytes: this.#options.settings.maxAnswerBytes,
      call: (signal) => this.#call(key, token, controls, question, signal),
      onAnswer: (reached, body) => this.#keep(key, reached, body, controls, token),
      onOver: (over) => {
        if (this.#flights.get(key) === over) this.#flights.delete(key);
      },
    });
    this.#flights.set(key, flight);
    return flight;
  }

  async #call(
    key: string,
    token: string,
    controls: CacheControls,
    question: CacheQuestion,
    signal: AbortSignal,
  ): Promise<Landing> {
    const entry = await this.#awaitEntry(key, token, controls, question, signal);
    if (entry !== undefined) return { is: 'entry', entry };
    if (signal.aborted) throw this.#left(key, token, signal);
    try {
      return { is: 'reached', reached: await question.ask(signal) };
    } catch (error) {
      this.#options.store?.unlock(key, token);
      throw error;
    }
  }

  #left(key: string, token: string | undefined, signal: AbortSignal): LeftWaiting {
    if (token !== undefined) this.#options.store?.unlock(key, token);
    return new LeftWaiting(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  }

  /**
   * From the shared store; when another process asks a model just now, its answer is waited for. Streams are not: their
   * reader would see nothing until the end, and then all of it.
   */
  async #awaitEntry(
    key: string,
    token: string,
    controls: CacheControls,
    question: CacheQuestion,
    signal: AbortSignal,
  ): Promise<CacheEntry | undefined> {
    const { store, now } = this.#options;
    if (store === undefined) return undefined;
    const lock = question.request.stream ? undefined : { token, forMs: longestLockMs };
    const startedAt = now();
    const giveUpAt = Math.min(startedAt + longestLockMs, (startedAt + question.deadlineMs) / 2);
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const look = await store.look(key, lock);
      if (look.is === 'found') {
        const entry = decodeEntry(key, look.bytes);
        if (entry === undefined || this.#replay(key, entry, controls, question) === undefined) return undefined;
        this.#remember(key, entry);
        return entry;
      }
      if (look.is !== 'awaited' || now() >= giveUpAt || signal.aborted) return undefined;
      // An abort ends the pause; `ask` then says why.
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** For a request that shares no call. */
  async #alone(key: string, controls: CacheControls, question: CacheQuestion): Promise<Reached> {
    const { store, settings } = this.#options;
    const look = controls.read ? await store?.look(key, undefined) : undefined;
    const entry = look?.is === 'found' ? decodeEntry(key, look.bytes) : undefined;
    const hit = entry === undefined ? undefined : this.#replay(key, entry, controls, question);
    if (hit !== undefined) return hit;
    if (question.signal.aborted) throw this.#left(key, undefined, question.signal);
    const reached = await question.ask(question.signal);
    const marked = { ...reached, cache: { key, isHit: () => false } };
    if (!controls.store) return marked;
    const keep = (body: Buffer): void => this.#keep(key, reached, body, controls, undefined);
    const { answer } = reached;
    if (answer.kind === 'whole') {
      keep(answer.body);
      return marked;
    }
    const stream = new SharedStream({
      source: answer.chunks,
      maxEntryBytes: settings.maxAnswerBytes,
      onOver: (whole) => {
        if (whole !== undefined) keep(whole);
      },
      onAbandoned: () => undefined,
    });
    return { ...marked, answer: { ...answer, chunks: stream.join(() => undefined) } };
  }

  /** @returns undefined when the entry is too old for this request, or is from a deployment that is gone. */
  #replay(key: string, entry: CacheEntry, controls: CacheControls, question: Asked): Reached | undefined {
    const { request, group } = question;
    const nowMs = this.#options.wallNow();
    const isStream = entry.kind === 'stream';
    if (isStream !== request.stream || entry.expiresAtMs <= nowMs) return undefined;
    if (nowMs - entry.storedAtMs > controls.maxAgeSeconds * 1000) return undefined;
    const deployment = this.#options.findDeployment(entry.deploymentId, group, request.model);
    if (deployment === undefined) return undefined;
    const { contentType, usage, body } = entry;
    const native = entry.native === true ? ({ native: true } as const) : {};
    const answer: Answer = isStream
      ? { kind: 'stream', contentType, chunks: new Replay(body, usage), ...native }
      : { kind: 'whole', status: 200, contentType, body, usage, ...native };
    return {
      answer,
      deployment,
      attempts: 0,
      fallbacks: 0,
      maxRetries: 0,
      waitedMs: 0,
      release: () => undefined,
      cache: { key, isHit: () => true },
    };
  }

  #keep(key: string, reached: Reached, body: Buffer, controls: CacheControls, token: string | undefined): void {
    const { settings, store, wallNow } = this.#options;
    const { answer, deployment, fallbacks } = reached;
    const isGood = answer.kind === 'stream' || answer.status === 200;
    // What another group answered in an emergency is not this group's answer once that is over.
    if (!isGood || fallbacks > 0 || body.length === 0 || body.length > settings.maxAnswerBytes) {
      if (token !== undefined) store?.unlock(key, token);
      return;
    }
    const storedAtMs = wallNow();
    const ttlMs = controls.ttlSeconds * 1000;
    const entry: CacheEntry = {
      kind: answer.kind,
      contentType: answer.contentType,
      ...(answer.native === true ? { native: true } : {}),
      usage: answer.kind === 'whole' ? answer.usage : answer.chunks.usage(),
      deploymentId: deployment.id,
      storedAtMs,
      expiresAtMs: storedAtMs + ttlMs,
      body,
    };
    this.#remember(key, entry);
    store?.keep(key, encodeEntry(key, entry), ttlMs, token);
  }

  #remember(key: string, entry: CacheEntry): void {
    const leftMs = entry.expiresAtMs - this.#options.wallNow();
    const ttl = this.#options.store === undefined ? leftMs : Math.min(leftMs, longestCopyMs);
    if (ttl > 0) this.#memory.set(key, entry, { ttl: Math.ceil(ttl) });
  }
}
