/** What is known of the load and speed of each deployment: the state that strategies decide by. */
import type { MinuteUsage, UsageLedger } from '../domain/usage.ts';

export interface Load {
  /** Attempts under way in this process. */
  readonly inFlight: number;
  /** Requests and tokens of the running minute, those that sibling processes told of included. */
  readonly requests: number;
  readonly tokens: number;
  /** Moving average of the time to the first chunk of streams, seconds; undefined = not seen within the ttl. */
  readonly firstChunkSeconds: number | undefined;
  /** Moving average of whole answers, seconds per completion token. */
  readonly secondsPerToken: number | undefined;
}

/** How an attempt went, as far as speed is concerned. */
export interface Speed {
  readonly seconds: number;
  readonly stream: boolean;
  /** Undefined when nobody reported it. */
  readonly completionTokens: number | undefined;
}

export interface LoadBookOptions {
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Speeds older than this are forgotten, seconds (LiteLLM's `routing_strategy_args.ttl`). */
  readonly latencyTtlSeconds: number;
}

interface Entry {
  inFlight: number;
  minute: number;
  requests: number;
  tokens: number;
  /** Of sibling processes, in a minute that may be over. */
  others: { readonly minute: number; readonly usage: MinuteUsage } | undefined;
  firstChunk: Average | undefined;
  perToken: Average | undefined;
}

interface Average {
  readonly value: number;
  readonly atMs: number;
}

/** Weight of the newest sample: ten samples old is about 3 % of the average. */
const newest = 0.3;

/** Clocks that differ by less than a message may have taken are the same. */
const sameClockMs = 250;

export class LoadBook implements UsageLedger {
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  #latencyTtlMs: number;
  /** From the own clock to the one that minutes go by. */
  #toCommonMs = 0;

  constructor({ now, latencyTtlSeconds }: LoadBookOptions) {
    this.#now = now;
    this.#latencyTtlMs = latencyTtlSeconds * 1000;
  }

  /** Goes on under another configuration: what is known of deployments that are gone is forgotten once they are idle. */
  follow(deploymentIds: ReadonlySet<string>, latencyTtlSeconds: number): void {
    this.#latencyTtlMs = latencyTtlSeconds * 1000;
    for (const [id, { inFlight }] of this.#entries) {
      if (inFlight === 0 && !deploymentIds.has(id)) this.#entries.delete(id);
    }
  }

  of(deploymentId: string): Load {
    const entry = this.#entries.get(deploymentId);
    if (entry === undefined) return idle;
    const nowMs = this.#now();
    const minute = this.#minuteAt(nowMs);
    const own = entry.minute === minute ? entry : noUsage;
    const others = entry.others?.minute === minute ? entry.others.usage : noUsage;
    return {
      inFlight: entry.inFlight,
      requests: own.requests + others.requests,
      tokens: own.tokens + others.tokens,
      firstChunkSeconds: this.#fresh(entry.firstChunk, nowMs),
      secondsPerToken: this.#fresh(entry.perToken, nowMs),
    };
  }

  get minute(): number {
    return this.#minuteAt(this.#now());
  }

  /** Until the next minute begins. */
  get secondsLeft(): number {
    return 60 - (((this.#now() + this.#toCommonMs) / 1000) % 60);
  }

  counted(deploymentId: string): MinuteUsage {
    const entry = this.#entries.get(deploymentId);
    return entry === undefined || entry.minute !== this.minute
      ? noUsage
      : { requests: entry.requests, tokens: entry.tokens };
  }

  adopt(minute: number, deploymentId: string, others: MinuteUsage): void {
    this.#entry(deploymentId).others = { minute, usage: others };
  }

  align(commonMs: number): void {
    const nowMs = this.#now();
    const toCommonMs = commonMs - nowMs;
    if (Math.abs(toCommonMs - this.#toCommonMs) < sameClockMs) return;
    const before = this.#minuteAt(nowMs);
    this.#toCommonMs = toCommonMs;
    const minute = this.#minuteAt(nowMs);
    for (const entry of this.#entries.values()) if (entry.minute === before) entry.minute = minute;
  }

  /** Counts an attempt. @returns what ends it; only its first call counts, however many paths lead there. */
  begin(deploymentId: string): () => void {
    const entry = this.#entry(deploymentId);
    entry.inFlight++;
    entry.requests++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      entry.inFlight--;
    };
  }

  /** Tokens that a request used, when they are known. */
  use(deploymentId: string, tokens: number): void {
    this.#entry(deploymentId).tokens += tokens;
  }

  measured(deploymentId: string, speed: Speed): void {
    const entry = this.#entry(deploymentId);
    const nowMs = this.#now();
    if (speed.stream) {
      entry.firstChunk = this.#next(entry.firstChunk, speed.seconds, nowMs);
    } else {
      // An answer without tokens (or without a count) still took its time.
      const perToken = speed.seconds / Math.max(1, speed.completionTokens ?? 1);
      entry.perToken = this.#next(entry.perToken, perToken, nowMs);
    }
  }

  #entry(deploymentId: string): Entry {
    const minute = this.#minuteAt(this.#now());
    let entry = this.#entries.get(deploymentId);
    if (entry === undefined) {
      entry = {
        inFlight: 0,
        minute,
        requests: 0,
        tokens: 0,
        others: undefined,
        firstChunk: undefined,
        perToken: undefined,
      };
      this.#entries.set(deploymentId, entry);
    } else if (entry.minute !== minute) {
      entry.minute = minute;
      entry.requests = 0;
      entry.tokens = 0;
    }
    return entry;
  }

  #minuteAt(nowMs: number): number {
    return Math.floor((nowMs + this.#toCommonMs) / 60_000);
  }

  #fresh(average: Average | undefined, nowMs: number): number | undefined {
    return average !== undefined && nowMs - average.atMs <= this.#latencyTtlMs ? average.value : undefined;
  }

  #next(average: Average | undefined, sample: number, atMs: number): Average {
    const before = this.#fresh(average, atMs);
    return { value: before === undefined ? sample : before + newest * (sample - before), atMs };
  }
}

const idle: Load = { inFlight: 0, requests: 0, tokens: 0, firstChunkSeconds: undefined, secondsPerToken: undefined };

const noUsage: MinuteUsage = { requests: 0, tokens: 0 };
