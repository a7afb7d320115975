/**
 * The region's standing: what the claim says, what the own database says, and what follows. Every process watches; the
 * leader of the writer region also renews the claim. Nothing here decides about serving: every region serves always.
 */
import type { RegionState, Standing } from '../domain/region.ts';
import type { Claim } from '../region/claim.ts';
import type { ClaimReading, ClaimStore } from '../region/claim-store.ts';
import { timingOf, usualTtlSeconds } from '../region/right-to-write.ts';
import { type RegionRules, regionRules } from '../region/rules.ts';
import type { RegionRows, RegionView } from '../stores/region.ts';

/** @param claim undefined where there is none: an installation of one region. */
export function standingOf(region: string, view: RegionView | undefined, claim: Claim | undefined): Standing {
  if (view === undefined) {
    if (claim === undefined) return 'unknown';
    return claim.writer === region ? 'fenced' : 'standby';
  }
  const { row, isPrimary, leaseRemainingMs } = view;
  const isWriter = claim === undefined ? row.writer === region : claim.writer === region;
  if (!isWriter) return isPrimary && row.writer === region ? 'fenced' : 'standby';
  if (!isPrimary) return 'fenced';
  if (row.writer !== region || (claim !== undefined && row.epoch !== claim.epoch)) return 'promoted';
  const hasLease = leaseRemainingMs === null || leaseRemainingMs > 0;
  return row.state === 'open' && hasLease && claim?.phase !== 'seized' ? 'writer' : 'fenced';
}

export interface RegionWatchOptions {
  readonly region: string;
  /** Undefined in an installation of one region. */
  readonly claims: ClaimStore | undefined;
  readonly rows: RegionRows;
  /** Undefined = what fits the claim's lease. */
  readonly everySeconds?: number;
  readonly rules?: RegionRules;
  /** Only one process of the region renews. */
  readonly isLeader: () => boolean;
  readonly onChange: (state: RegionState) => void;
}

const longestRoundMs = 4_000;

/** Rounds begin at even distances: a lease that slow buckets renew must not lapse because of the pauses in between. */
export const pauseMs = (everyMs: number, tookMs: number): number => Math.max(everyMs / 10, everyMs - tookMs);

export class RegionWatch {
  readonly #options: RegionWatchOptions;
  #state: RegionState;
  #timer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();
  #round: Promise<void> | undefined;

  constructor(options: RegionWatchOptions) {
    this.#options = options;
    this.#state = {
      standing: 'unknown',
      epoch: 0,
      writer: undefined,
      phase: undefined,
      leaseRemainingMs: 0,
      replayLagMs: 0,
      candidates: options.claims === undefined ? undefined : [],
      ttlSeconds: usualTtlSeconds,
      faults: [],
    };
  }

  get state(): RegionState {
    return this.#state;
  }

  start(): void {
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the gateway leaves'));
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** Looks now, for example after a `not_writer` answer. Never rejects; rounds do not overlap. */
  look(): Promise<void> {
    this.#round ??= this.#look().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** What another region says of who writes. */
  hear(epoch: number, writer: string | undefined): void {
    if (epoch <= this.#state.epoch || writer === undefined) return;
    const { region } = this.#options;
    // The candidates of an older epoch are none: the new writer may be among them.
    const candidates = this.#state.candidates && [];
    this.#state = {
      ...this.#state,
      epoch,
      writer,
      candidates,
      phase: undefined,
      standing: writer === region ? 'fenced' : 'standby',
    };
    this.#options.onChange(this.#state);
    void this.look();
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      const begunAtMs = performance.now();
      void this.look().finally(() => {
        if (!this.#stop.signal.aborted) this.#schedule(this.#pauseMs(performance.now() - begunAtMs));
      });
    }, afterMs);
    this.#timer.unref();
  }

  #pauseMs(tookMs: number): number {
    return pauseMs((this.#options.everySeconds ?? timingOf(this.#state.ttlSeconds).renewSeconds) * 1000, tookMs);
  }

  async #look(): Promise<void> {
    const { claims, rows, region } = this.#options;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(longestRoundMs)]);
    // The database first: its clock must be read before the renewal is sent.
    const faults: string[] = [];
    let view: RegionView | undefined;
    try {
      view = await rows.view();
    } catch (error) {
      faults.push(`database: ${messageOf(error)}`);
    }
    let reading: ClaimReading | undefined;
    if (claims !== undefined) {
      reading = await claims.read(signal);
      faults.push(...reading.unheard.map(({ bucket, because }) => `claim in ${bucket}: ${because}`));
      if (view !== undefined && this.#options.isLeader()) {
        try {
          view = await this.#renew(claims, reading, view, signal);
        } catch (error) {
          faults.push(`lease: ${messageOf(error)}`);
        }
      }
    }
    this.#learn(view, reading?.newest, standingOf(region, view, claimToObey(reading)), faults);
  }

  /** @returns the view with the lease as it is after the renewal, or as it was. */
  async #renew(claims: ClaimStore, reading: ClaimReading, view: RegionView, signal: AbortSignal): Promise<RegionView> {
    const { renewed } = this.#options.rules ?? regionRules;
    const next = reading.agreed && renewed(reading.agreed, this.#options.region, view);
    if (next === undefined) return this.#endIfSeized(reading, view);
    const result = await claims.swap(reading, next, signal);
    if (result.is !== 'done' || !(await this.#options.rows.extendLease(next, view.readAt))) return view;
    return { ...view, leaseRemainingMs: next.ttlSeconds * 1000 };
  }

  /** A right to write that was given without the claim ends as soon as the claim shows that another run has seized it. */
  async #endIfSeized({ agreed }: ClaimReading, view: RegionView): Promise<RegionView> {
    if (view.leaseRemainingMs !== null || agreed === undefined || agreed.epoch <= view.row.epoch) return view;
    await this.#options.rows.endLease(view.row.epoch);
    return { ...view, leaseRemainingMs: 0 };
  }

  #learn(view: RegionView | undefined, claim: Claim | undefined, standing: Standing, faults: readonly string[]): void {
    const before = this.#state;
    const seen = [
      { epoch: before.epoch, writer: before.writer },
      ...(view === undefined ? [] : [{ epoch: view.row.epoch, writer: view.row.writer }]),
      ...(claim === undefined ? [] : [claim]),
    ].reduce((best, one) => (one.epoch >= best.epoch ? one : best));
    this.#state = {
      standing,
      epoch: seen.epoch,
      writer: seen.writer,
      phase: phaseOf(seen.epoch, claim, before),
      leaseRemainingMs: view?.leaseRemainingMs ?? (view === undefined ? 0 : null),
      replayLagMs: view?.replayLagMs ?? 0,
      candidates: before.candidates && candidatesOf(seen.epoch, claim, before),
      ttlSeconds: claim?.ttlSeconds ?? before.ttlSeconds,
      faults,
    };
    if (before.standing !== standing || before.epoch !== this.#state.epoch) this.#options.onChange(this.#state);
  }
}

/** A seizure that reached a minority binds nobody yet, unless no majority shows anything else. */
const claimToObey = (reading: ClaimReading | undefined): Claim | undefined => reading?.agreed ?? reading?.newest;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Of this epoch, as last read; the claim of an older one says nothing of it. */
function phaseOf(epoch: number, claim: Claim | undefined, before: RegionState): Claim['phase'] | undefined {
  if (claim?.epoch === epoch) return claim.phase;
  return before.epoch === epoch ? before.phase : undefined;
}

/** Of this epoch, as last read; of a newer one that the buckets have not told of, none: the new writer may be among them. */
function candidatesOf(epoch: number, claim: Claim | undefined, before: RegionState): readonly string[] {
  if (claim?.epoch === epoch) return claim.candidates;
  return before.epoch === epoch ? (before.candidates ?? []) : [];
}
