/**
 * The region's standing: what the claim says, what the own database says, and what follows. Every process watches; the
 * leader of the writer region also renews the claim. Nothing here decides about serving: every region serves always.
 */
import { type Claim, renewed } from '../region/claim.ts';
import type { ClaimReading, ClaimStore } from '../region/claim-store.ts';
import type { RegionRows, RegionView } from '../stores/region.ts';

export type Standing =
  /** Control-plane writes are taken here. */
  | 'writer'
  /** They are not, though the claim or the row names this region: the lease is over, or the epoch is closed. */
  | 'fenced'
  /** Another region writes; control-plane writes are forwarded to it. */
  | 'standby'
  /** A promoted database whose row still names another region: it takes nothing until a run raises it. */
  | 'promoted'
  /** Neither claim nor database could be read. */
  | 'unknown';

export interface RegionState {
  readonly standing: Standing;
  /** The highest that was ever seen, here or by a peer: it is never taken back. */
  readonly epoch: number;
  readonly writer: string | undefined;
  readonly phase: Claim['phase'] | undefined;
  readonly leaseRemainingMs: number | null;
  readonly replayLagMs: number;
  /** What could not be read, and why. */
  readonly faults: readonly string[];
}

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
  readonly everySeconds: number;
  /** Only one process of the region renews. */
  readonly isLeader: () => boolean;
  readonly onChange: (state: RegionState) => void;
}

const longestRoundMs = 4_000;

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

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      void this.look().finally(() => {
        if (!this.#stop.signal.aborted) this.#schedule(this.#options.everySeconds * 1000);
      });
    }, afterMs);
    this.#timer.unref();
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
    const next = reading.agreed && renewed(reading.agreed, this.#options.region, view);
    if (next === undefined) return view;
    const result = await claims.swap(reading, next, signal);
    if (result.is !== 'done' || !(await this.#options.rows.extendLease(next, view.readAt))) return view;
    return { ...view, leaseRemainingMs: next.ttlSeconds * 1000 };
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
      phase: claim?.phase ?? (seen.epoch === before.epoch ? before.phase : undefined),
      leaseRemainingMs: view?.leaseRemainingMs ?? (view === undefined ? 0 : null),
      replayLagMs: view?.replayLagMs ?? 0,
      faults,
    };
    if (before.standing !== standing || before.epoch !== this.#state.epoch) this.#options.onChange(this.#state);
  }
}

/** A seizure that reached a minority binds nobody yet, unless no majority shows anything else. */
const claimToObey = (reading: ClaimReading | undefined): Claim | undefined => reading?.agreed ?? reading?.newest;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
