/**
 * Who leads among the processes that share a database. Losing touch with the database ends the leadership here before
 * anybody else can take it: the own deadline counts from before the renewal was sent, on the monotonic clock, and ends
 * early by a margin for clocks that run at different speeds.
 */
import type { LeaseHolding } from '../stores/leader-lease.ts';

export type Leadership =
  | { readonly is: 'leader'; readonly epoch: bigint }
  | { readonly is: 'follower'; readonly leader: string; readonly epoch: bigint }
  /** The database did not answer, or the lease has run out here. */
  | { readonly is: 'unknown' };

export interface LeaderElectionOptions {
  readonly lease: {
    take(holder: string): Promise<LeaseHolding>;
    resign(holder: string): Promise<boolean>;
  };
  /** Unique to this process. */
  readonly holder: string;
  readonly leaseSeconds: number;
  readonly renewSeconds: number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly onChange: (leadership: Leadership) => void;
  readonly onError: (error: Error) => void;
}

/** Of the lease: what clocks may differ in speed, and more. */
const marginShare = 0.1;

/** What is wrong with two numbers of a lease; undefined when they fit. */
export function leaseFault(leaseSeconds: number, renewSeconds: number): string | undefined {
  if (renewSeconds * 2 < leaseSeconds * (1 - marginShare)) return undefined;
  return `a lease of ${leaseSeconds} s renewed every ${renewSeconds} s is lost by one late renewal; renew at least twice within it`;
}

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  #leadership: Leadership = { is: 'unknown' };
  #validUntilMs = 0;
  #renewalFailures = 0;
  #timer: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
  }

  /** Whether this process leads, at this moment. Ask again before everything that only a leader may do. */
  get leadership(): Leadership {
    if (this.#leadership.is === 'leader' && this.#options.now() >= this.#validUntilMs) return { is: 'unknown' };
    return this.#leadership;
  }

  /** In a row. */
  get renewalFailures(): number {
    return this.#renewalFailures;
  }

  /** Milliseconds that the own lease is still good for; undefined when this process does not lead. */
  get remainingMs(): number | undefined {
    return this.leadership.is === 'leader' ? this.#validUntilMs - this.#options.now() : undefined;
  }

  get isRunning(): boolean {
    return this.#timer !== undefined && !this.#stopped;
  }

  start(): void {
    this.#next(0);
  }

  /** Asks for the lease now. Never rejects. */
  async take(): Promise<void> {
    await this.#renew();
  }

  /** Gives the lease up, so that another takes it at once. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#expiry);
    await this.#round;
    const led = this.leadership.is === 'leader';
    this.#become({ is: 'unknown' });
    if (!led) return;
    try {
      await this.#options.lease.resign(this.#options.holder);
    } catch (error) {
      this.#options.onError(asError(error));
    }
  }

  #next(afterMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#renew().finally(() => this.#next(this.#pauseMs()));
    }, afterMs);
    this.#timer.unref();
  }

  /** Spread out, so that many processes do not ask in the same moment for ever. */
  #pauseMs(): number {
    return this.#options.renewSeconds * 1000 * (0.9 + Math.random() * 0.1);
  }

  async #renew(): Promise<void> {
    const { lease, holder, leaseSeconds, now, onError } = this.#options;
    const sentAtMs = now();
    try {
      const holding = await lease.take(holder);
      this.#renewalFailures = 0;
      if (holding.holder !== holder) {
        this.#become({ is: 'follower', leader: holding.holder, epoch: holding.epoch });
        return;
      }
      this.#validUntilMs = sentAtMs + leaseSeconds * 1000 * (1 - marginShare);
      this.#become({ is: 'leader', epoch: holding.epoch });
      clearTimeout(this.#expiry);
      this.#expiry = setTimeout(() => this.#become({ is: 'unknown' }), this.#validUntilMs - now());
      this.#expiry.unref();
    } catch (error) {
      this.#renewalFailures++;
      onError(asError(error));
      if (this.leadership.is !== 'leader') this.#become({ is: 'unknown' });
    }
  }

  #become(next: Leadership): void {
    const before = this.#leadership;
    this.#leadership = next;
    if (next.is !== 'leader') clearTimeout(this.#expiry);
    if (!isSame(before, next)) this.#options.onChange(next);
  }
}

const isSame = (a: Leadership, b: Leadership): boolean =>
  a.is === b.is &&
  (a.is === 'unknown' || b.is === 'unknown' || a.epoch === b.epoch) &&
  (a.is !== 'follower' || b.is !== 'follower' || a.leader === b.leader);

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
