/** Clients of a drill, and what they were told: the ledger that a region's loss is measured by. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  readonly resolve: () => readonly string[];
  /** Administrators who never ask DNS again, each with his name: they go on talking to a region that was cut off. */
  readonly pinned?: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  readonly key: string;
  readonly model: string;
  readonly requestsPerSecond: number;
  /** Of 1. */
  readonly streaming: number;
  /** How long a client believes an address. */
  readonly dnsTtlMs: number;
  /** Until a client gives up. */
  readonly timeoutMs: number;
  /** From one control-plane write to the next; 100 if not given. */
  readonly betweenWritesMs?: number;
  /** Of the ledger, oldest first out; everything is kept if not given. */
  readonly mostEntries?: number;
  /** Each request on a connection of its own, so that each asks DNS; otherwise connections are kept as `fetch` does. */
  readonly reconnects?: boolean;
  /** Longest answer that is asked for; the model's own limit if not given. */
  readonly maxTokens?: number;
  /** After which a key that was made ends by itself, such as `2h`; never if not given. */
  readonly keyDuration?: string;
  /** Told of every entry once it is in the ledger. It must not throw. */
  readonly onEntry?: (entry: LedgerEntry) => void;
}

export type LedgerEntry = ({ readonly is: 'request' } & LoadEntry) | ({ readonly is: 'write' } & WriteEntry);

export interface LoadEntry {
  /** Of the last try: each has its own, so that a try whose answer was lost is not taken for a doubled one. */
  readonly callId: string;
  /** Monotonic, milliseconds, when it was first sent. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly tries: number;
  /** The whole answer came, with the last try. */
  readonly isAnswered: boolean;
}

export interface WriteEntry {
  readonly alias: string;
  /** Region whose gateways were asked, for whom DNS does not matter; undefined = where DNS led. */
  readonly pinnedTo?: string;
  readonly atMs: number;
  /** When the answer was there, or was given up. */
  readonly endMs: number;
  /** 2xx. */
  readonly isAcknowledged: boolean;
}

/** As the official clients do by default: two more tries, after half a second and after one. */
const pausesMs = [500, 1_000] as const;

/** Each asks DNS for itself, so that a share of the answers is a share of the clients. */
const clientCount = 20;

class CachingResolver {
  #addresses: readonly string[] = [];
  #resolvedAtMs = Number.NEGATIVE_INFINITY;

  resolve({ resolve, dnsTtlMs }: Pick<LoadOptions, 'resolve' | 'dnsTtlMs'>): readonly string[] {
    const nowMs = performance.now();
    if (nowMs - this.#resolvedAtMs > dnsTtlMs) {
      this.#addresses = resolve();
      this.#resolvedAtMs = nowMs;
    }
    return this.#addresses;
  }
}

export class LedgerClients {
  readonly entries: LoadEntry[] = [];
  readonly writes: WriteEntry[] = [];
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #resolvers = Array.from({ length: clientCount }, () => new CachingResolver());
  #turn = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#running = Promise.all([
      this.#ask(),
      this.#write(() => this.#address()),
      ...(options.pinned ?? []).map(({ name, addresses }) => this.#write(() => addresses[0] ?? '', name)),
    ]).then(() => undefined);
  }

  /** Ends after what is on its way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #address(): string {
    const turn = this.#turn++;
    const addresses = this.#resolvers[turn % clientCount]?.resolve(this.#options) ?? [];
    return addresses[Math.floor(turn / clientCount) % addresses.length] ?? '';
  }

  #headers(): Record<string, string> {
    const { key, reconnects } = this.#options;
    return {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...(reconnects === true && { connection: 'close' }),
    };
  }

  async #ask(): Promise<void> {
    const { requestsPerSecond } = this.#options;
    const { signal } = this.#stop;
    const open = new Set<Promise<void>>();
    const startedAtMs = performance.now();
    for (let sent = 0; !signal.aborted; sent++) {
      const dueMs = startedAtMs + (sent * 1000) / requestsPerSecond;
      await sleep(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      const one = this.#request(sent).finally(() => open.delete(one));
      open.add(one);
    }
    await Promise.all(open);
  }

  async #request(number: number): Promise<void> {
    const stream = (number * 0.618_034) % 1 < this.#options.streaming;
    const atMs = performance.now();
    for (let tries = 1; ; tries++) {
      const callId = `drill-${randomUUID()}`;
      const isAnswered = await this.#try(callId, stream);
      const pauseMs = pausesMs[tries - 1];
      if (isAnswered || pauseMs === undefined) {
        const entry = { callId, atMs, tookMs: performance.now() - atMs, tries, isAnswered };
        this.entries.push(entry);
        this.#options.onEntry?.({ is: 'request', ...entry });
        keepNewest(this.entries, this.#options.mostEntries);
        return;
      }
      await sleep(pauseMs);
    }
  }

  /** @returns whether the whole answer came. */
  async #try(callId: string, stream: boolean): Promise<boolean> {
    const { model, timeoutMs, maxTokens } = this.#options;
    const limit = maxTokens === undefined ? {} : { max_tokens: maxTokens };
    try {
      const answer = await fetch(new URL('/v1/chat/completions', this.#address()), {
        method: 'POST',
        headers: { ...this.#headers(), 'x-litellm-call-id': callId },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: callId }], ...limit }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await answer.text();
      return answer.ok && (!stream || text.includes('data: [DONE]'));
    } catch {
      // Whatever it was, the client has no answer: that is what its ledger says.
      return false;
    }
  }

  /** One administrator who makes keys, one after the other. */
  async #write(address: () => string, pinnedTo?: string): Promise<void> {
    const { timeoutMs, betweenWritesMs = 100, keyDuration: duration } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const alias = `drill-${randomUUID()}`;
      const atMs = performance.now();
      let isAcknowledged = false;
      try {
        const answer = await fetch(new URL('/key/generate', address()), {
          method: 'POST',
          headers: this.#headers(),
          body: JSON.stringify({ key_alias: alias, ...(duration === undefined ? {} : { duration }) }),
          signal: AbortSignal.timeout(timeoutMs),
        });
        await answer.arrayBuffer();
        isAcknowledged = answer.ok;
      } catch {
        // Not acknowledged, whatever became of it.
        isAcknowledged = false;
      }
      const whose = pinnedTo === undefined ? {} : { pinnedTo };
      const entry = { alias, atMs, endMs: performance.now(), isAcknowledged, ...whose };
      this.writes.push(entry);
      this.#options.onEntry?.({ is: 'write', ...entry });
      keepNewest(this.writes, this.#options.mostEntries);
      await sleep(betweenWritesMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** In steps, since taking away the first one moves all others. */
function keepNewest(ledger: unknown[], most: number | undefined): void {
  if (most !== undefined && ledger.length > 2 * most) ledger.splice(0, ledger.length - most);
}

/** Pure: the longest time without an answer in which at least one try had failed, seconds. */
export function servingGapSeconds(entries: readonly LoadEntry[]): number {
  const ends = entries
    .map(({ atMs, tookMs, tries, isAnswered }) => ({ endMs: atMs + tookMs, isAnswered, hasFailed: tries > 1 }))
    .toSorted((one, other) => one.endMs - other.endMs);
  let longestMs = 0;
  let lastAnsweredMs: number | undefined;
  let hasFailed = false;
  for (const end of ends) {
    hasFailed ||= end.hasFailed || !end.isAnswered;
    if (!end.isAnswered) continue;
    if (hasFailed && lastAnsweredMs !== undefined) longestMs = Math.max(longestMs, end.endMs - lastAnsweredMs);
    lastAnsweredMs = end.endMs;
    hasFailed = false;
  }
  return longestMs / 1000;
}

/** Pure: from that moment until the last request was sent whose first try failed, seconds: as long as clients met errors. */
export function troubleSeconds(entries: readonly LoadEntry[], sinceMs: number): number {
  const troubled = entries.flatMap(({ atMs, tries, isAnswered }) => (tries > 1 || !isAnswered ? [atMs] : []));
  return Math.max(0, ...troubled.map((atMs) => atMs - sinceMs)) / 1000;
}

/** Pure: the longest time between two acknowledged writes of the administrator whom DNS leads, seconds; undefined = fewer than two were. */
export function writeGapSeconds(writes: readonly WriteEntry[]): number | undefined {
  const acknowledged = writes
    .filter(({ isAcknowledged, pinnedTo }) => isAcknowledged && pinnedTo === undefined)
    .map(({ atMs }) => atMs);
  if (acknowledged.length < 2) return undefined;
  return Math.max(...acknowledged.slice(1).map((atMs, index) => atMs - (acknowledged[index] ?? atMs))) / 1000;
}

/**
 * Pure: the 95th percentile of the answers of each second, milliseconds, and of these the median: what clients see most of
 * the time. A second in which the machine was busy with something else has no say. 0 without any answer.
 */
export function steadyLatencyMs(entries: readonly LoadEntry[]): number {
  const seconds = new Map<number, number[]>();
  for (const { atMs, tookMs, isAnswered } of entries) {
    if (!isAnswered) continue;
    const second = Math.floor(atMs / 1000);
    seconds.set(second, [...(seconds.get(second) ?? []), tookMs]);
  }
  return quantile(
    [...seconds.values()].map((took) => quantile(took, 0.95)),
    0.5,
  );
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
