/** What a region's gateways have counted of late, from their own `/metrics`, as a gate of a canary wants it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { healthPaths, metricNames } from '../../gateway/contract.ts';
import type { Vitals } from '../books/canary-world.ts';

/** Sums since the gateways began. */
export interface Counts {
  readonly requests: number;
  readonly errors: number;
  /** Requests that took at most so many seconds. */
  readonly within: ReadonlyMap<number, number>;
}

const noCounts: Counts = { requests: 0, errors: 0, within: new Map() };

/** Pure: of one gateway, from Prometheus' text. */
export function countsOf(text: string): Counts {
  let requests = 0;
  let errors = 0;
  const within = new Map<number, number>();
  for (const line of text.split('\n')) {
    if (line.startsWith(`${metricNames.requests}{`)) {
      requests += valueOf(line);
      if (labelOf(line, 'status_code')?.startsWith('5') === true) errors += valueOf(line);
    } else if (line.startsWith(`${metricNames.requestSeconds}_bucket{`)) {
      const bound = Number(labelOf(line, 'le')?.replace('+Inf', 'Infinity'));
      within.set(bound, (within.get(bound) ?? 0) + valueOf(line));
    }
  }
  return { requests, errors, within };
}

const valueOf = (line: string): number => Number(line.slice(line.lastIndexOf(' ') + 1));
const labelOf = (line: string, name: string): string | undefined => line.match(`[{,]${name}="([^"]*)"`)?.[1];

function combined(one: Counts, other: Counts, sign: 1 | -1): Counts {
  const within = new Map(one.within);
  for (const [bound, count] of other.within) within.set(bound, (within.get(bound) ?? 0) + sign * count);
  return { requests: one.requests + sign * other.requests, errors: one.errors + sign * other.errors, within };
}

/** Pure: 95th percentile, milliseconds, as evenly spread inside its bucket; undefined without a request. */
export const percentileMs = (counts: Counts): number | undefined => atRank(counts, (total) => total * 0.95);

/** Standard deviations to each side: what lies beyond is chance once in twenty times. */
const confidence = 1.65;

/** Pure: between which values the 95th percentile lies, milliseconds, as far as so many requests can tell. */
export function percentileBoundsMs(counts: Counts): readonly [number, number] | undefined {
  const by = (side: 1 | -1) =>
    atRank(counts, (total) => Math.min(total, total * 0.95 + side * confidence * Math.sqrt(total * 0.95 * 0.05)));
  const [least, most] = [by(-1), by(1)];
  return least === undefined || most === undefined ? undefined : [least, most];
}

function atRank({ within }: Counts, rankOf: (total: number) => number): number | undefined {
  const buckets = [...within].toSorted(([one], [other]) => one - other);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = rankOf(total);
  const index = buckets.findIndex(([, count]) => count >= rank);
  const [upper, count] = buckets[index] ?? [0, 0];
  const [lower, below] = buckets[index - 1] ?? [0, 0];
  // Slower than every bound: nothing more is known than the largest.
  if (!Number.isFinite(upper)) return lower * 1000;
  return 1000 * (lower + ((upper - lower) * (rank - below)) / Math.max(1, count - below));
}

const leastCompared = 50;

/**
 * Pure: a region against the other one, each between two moments. Latency counts as added as far as it cannot be chance:
 * the tail of the few requests of a small share is two or three of them, and a busy machine slows any two down.
 */
export function vitalsOf(of: Counts, others: Counts): Vitals {
  const [here, there] = [percentileBoundsMs(of), percentileBoundsMs(others)];
  const { requests, errors } = of;
  // The handful that others serve after all clients have left them is no measure.
  const tooFew = others.requests < leastCompared;
  if (here === undefined || there === undefined || tooFew) return { requests, errors, addedLatencyMs: undefined };
  return { requests, errors, addedLatencyMs: Math.max(0, here[0] - there[1]) };
}

const everyMs = 500;
const keptSamples = 600;
const patienceMs = 2_000;

interface Sample {
  readonly atMs: number;
  readonly counts: ReadonlyMap<string, Counts>;
}

/** Reads the gateways' counters twice a second: what they counted in a while is the difference of two readings. */
export class LabVitals {
  readonly #addresses: ReadonlyMap<string, () => readonly string[]>;
  readonly #samples: Sample[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** @param addresses of each region's gateways. */
  constructor(addresses: ReadonlyMap<string, () => readonly string[]>) {
    this.#addresses = addresses;
    this.#running = this.#run();
  }

  read(region: string, windowSeconds: number): Vitals {
    const newest = this.#samples.at(-1);
    if (newest === undefined) return { requests: 0, errors: 0, addedLatencyMs: undefined };
    const fromMs = newest.atMs - windowSeconds * 1000;
    const oldest = this.#samples.findLast(({ atMs }) => atMs <= fromMs) ?? this.#samples[0] ?? newest;
    const between = (name: string): Counts =>
      combined(newest.counts.get(name) ?? noCounts, oldest.counts.get(name) ?? noCounts, -1);
    const others = [...this.#addresses.keys()].filter((name) => name !== region).map(between);
    return vitalsOf(
      between(region),
      others.reduce((sum, one) => combined(sum, one, 1), noCounts),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const counts = new Map<string, Counts>();
      for (const [name, addresses] of this.#addresses) {
        const all = await Promise.all(addresses().map((address) => this.#ask(address, signal)));
        counts.set(
          name,
          all.reduce((sum, one) => combined(sum, one, 1), noCounts),
        );
      }
      this.#samples.push({ atMs: performance.now(), counts });
      if (this.#samples.length > keptSamples) this.#samples.shift();
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #ask(address: string, signal: AbortSignal): Promise<Counts> {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
      const answer = await fetch(new URL(healthPaths.metrics, address), { signal: bounded });
      return countsOf(await answer.text());
    } catch {
      // It does not answer: it has counted nothing that anybody could read.
      return noCounts;
    }
  }
}
