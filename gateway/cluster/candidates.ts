/**
 * How far each candidate replica is behind the writer, as the writer region sees it: by the renewal of the lease that the
 * replica shows, on the clock of the writer's own database. A replica that cannot be asked falls behind with the time.
 */
import { z } from 'zod';
import type { RegionState } from '../domain/region.ts';
import type { RegionRows } from '../stores/region.ts';
import type { PeerLink } from './peer-link.ts';
import { Rounds } from './rounds.ts';

export interface CandidatesOptions {
  readonly region: string;
  readonly state: () => RegionState;
  readonly rows: Pick<RegionRows, 'behind'>;
  readonly link: Pick<PeerLink, 'call'>;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly onError: (error: Error) => void;
}

const lookEveryMs = 2_000;
const callTimeoutMs = 1_500;
const replayed = z.object({ epoch: z.number(), until: z.string() });

/** What was last heard of one candidate. */
interface Heard {
  /** Monotonic, from before it was asked. */
  readonly askedAtMs: number;
  readonly lagMs: number;
  /** Monotonic: it shows everything that was committed before. */
  readonly showsUntilMs: number;
  /** The last question got no answer. */
  readonly isSilent: boolean;
}

/**
 * The replicas that a failover may promote, and without which nothing counts as safe. None outside of the writer region, and
 * none where the right to write was given without a claim: then nobody else may take over.
 * @returns undefined while the claim of this epoch was not read: they are not known.
 */
export function reliedOn(region: string, state: RegionState): readonly string[] | undefined {
  const { candidates, writer, phase, leaseRemainingMs } = state;
  if (candidates === undefined || leaseRemainingMs === null) return [];
  if (writer !== undefined && writer !== region) return [];
  return phase === undefined ? undefined : candidates.filter((candidate) => candidate !== region);
}

export class Candidates {
  readonly #options: CandidatesOptions;
  #heard = new Map<string, Heard>();
  #unknownSinceMs: number | undefined;
  #epoch = 0;
  readonly #looks = new Rounds(() => this.#look(), lookEveryMs);

  constructor(options: CandidatesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looks.start();
  }

  stop(): Promise<void> {
    return this.#looks.stop();
  }

  /** @returns undefined while they are not known. */
  get names(): readonly string[] | undefined {
    return reliedOn(this.#options.region, this.#options.state());
  }

  /** Of each candidate, milliseconds. */
  get lagsMs(): ReadonlyMap<string, number> {
    return new Map((this.names ?? []).map((name) => [name, this.#lagMs(name)]));
  }

  /** Of the one that is farthest behind; while they are not known, since then. 0 = there is none. */
  get longestLagMs(): number {
    if (this.names === undefined) return this.#options.now() - (this.#unknownSinceMs ?? this.#options.now());
    return Math.max(0, ...this.lagsMs.values());
  }

  /** Of the one that is nearest: what a failover loses if it takes the best. 0 = there is none. */
  get shortestLagMs(): number {
    const lags = [...this.lagsMs.values()];
    return lags.length === 0 ? 0 : Math.min(...lags);
  }

  /** All candidates can be asked at the moment, as far as is known. */
  get answer(): boolean {
    return this.names?.every((name) => this.#heard.get(name)?.isSilent !== true) ?? false;
  }

  /** Monotonic: all candidates show everything that was committed before. */
  get showUntilMs(): number {
    if (this.names === undefined) return Number.NEGATIVE_INFINITY;
    return Math.min(...this.names.map((name) => this.#heard.get(name)?.showsUntilMs ?? Number.NEGATIVE_INFINITY));
  }

  /** Never rejects. */
  look(): Promise<void> {
    return this.#looks.now();
  }

  #lagMs(name: string): number {
    const heard = this.#heard.get(name);
    return heard === undefined ? 0 : heard.lagMs + this.#options.now() - heard.askedAtMs;
  }

  async #look(): Promise<void> {
    const { state, now } = this.#options;
    const { names } = this;
    this.#unknownSinceMs = names === undefined ? (this.#unknownSinceMs ?? now()) : undefined;
    const { epoch } = state();
    if (epoch !== this.#epoch) {
      // Another database, or another clock.
      this.#heard = new Map();
      this.#epoch = epoch;
    }
    for (const name of this.#heard.keys()) if (names?.includes(name) !== true) this.#heard.delete(name);
    await Promise.all((names ?? []).map((name) => this.#ask(name, epoch)));
  }

  async #ask(name: string, epoch: number): Promise<void> {
    const { link, rows, now, onError } = this.#options;
    const askedAtMs = now();
    const before = this.#heard.get(name);
    try {
      const shown = replayed.parse(await link.call(name, 'replayed', '{}', callTimeoutMs));
      if (shown.epoch !== epoch) throw new Error(`${name} shows epoch ${shown.epoch} still`);
      const { lagMs, ageMs } = await rows.behind(shown.until, this.#options.state().ttlSeconds);
      if (epoch !== this.#epoch) return;
      this.#heard.set(name, { askedAtMs, lagMs, showsUntilMs: askedAtMs - ageMs, isSilent: false });
    } catch (error) {
      const nothing = { askedAtMs, lagMs: 0, showsUntilMs: Number.NEGATIVE_INFINITY };
      if (epoch === this.#epoch) this.#heard.set(name, { ...(before ?? nothing), isSilent: true });
      onError(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
