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
}

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

/** A pause between two control-plane writes. */
const betweenWritesMs = 100;

export class LabLoad {
  readonly entries: LoadEntry[] = [];
  readonly writes: WriteEntry[] = [];
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #addresses: readonly string[] = [];
  #resolvedAtMs = Number.NEGATIVE_INFINITY;
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
    const nowMs = performance.now();
    if (nowMs - this.#resolvedAtMs > this.#options.dnsTtlMs) {
      this.#addresses = this.#options.resolve();
      this.#resolvedAtMs = nowMs;
    }
    return this.#addresses[this.#turn++ % this.#addresses.length] ?? '';
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
        this.entries.push({ callId, atMs, tookMs: performance.now() - atMs, tries, isAnswered });
        return;
      }
      await sleep(pauseMs);
    }
  }

  /** @returns whether the whole answer came. */
  async #try(callId: string, stream: boolean): Promise<boolean> {
    const { key, model, timeoutMs } = this.#options;
    try {
      const answer = await fetch(new URL('/v1/chat/completions', this.#address()), {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'x-litellm-call-id': callId,
        },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: callId }] }),
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
    const { key, timeoutMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const alias = `drill-${randomUUID()}`;
      const atMs = performance.now();
      let isAcknowledged = false;
      try {
        const answer = await fetch(new URL('/key/generate', address()), {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ key_alias: alias }),
          signal: AbortSignal.timeout(timeoutMs),
        });
        await answer.arrayBuffer();
        isAcknowledged = answer.ok;
      } catch {
        // Not acknowledged, whatever became of it.
        isAcknowledged = false;
      }
      const whose = pinnedTo === undefined ? {} : { pinnedTo };
      this.writes.push({ alias, atMs, endMs: performance.now(), isAcknowledged, ...whose });
      await sleep(betweenWritesMs, undefined, { signal }).catch(() => undefined);
    }
  }
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

/** Pure: the longest time between two acknowledged writes of the administrator whom DNS leads, seconds; undefined = fewer than two were. */
export function writeGapSeconds(writes: readonly WriteEntry[]): number | undefined {
  const acknowledged = writes
    .filter(({ isAcknowledged, pinnedTo }) => isAcknowledged && pinnedTo === undefined)
    .map(({ atMs }) => atMs);
  if (acknowledged.length < 2) return undefined;
  return Math.max(...acknowledged.slice(1).map((atMs, index) => atMs - (acknowledged[index] ?? atMs))) / 1000;
}

/** Pure. 95th percentile of the answered ones, milliseconds; 0 without any. */
export function latencyMs(entries: readonly LoadEntry[]): number {
  const took = entries
    .filter(({ isAnswered }) => isAnswered)
    .map(({ tookMs }) => tookMs)
    .toSorted((one, other) => one - other);
  return took[Math.floor(took.length * 0.95)] ?? 0;
}
