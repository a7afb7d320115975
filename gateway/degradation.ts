/** What a gateway does without at the moment, in words, and since when. None of it keeps it from serving. */
import type { Pressure } from './domain/spend.ts';

export type DegradedReason =
  | 'schema'
  | 'database'
  | 'redis'
  | 'snapshot'
  | 'outbox'
  | 'leader'
  | 'config'
  | 'budgets'
  | 'rpo'
  | 'restart-required';

export interface Degradation {
  readonly reason: DegradedReason;
  readonly message: string;
}

export interface StandingFacts {
  /** Why this gateway should be replaced by a newer one. */
  readonly schemaFault: string | undefined;
  /** Undefined = there is none. */
  readonly databaseUp: boolean | undefined;
  readonly redisUp: boolean | undefined;
  readonly snapshotAgeSeconds: number | undefined;
  readonly pressure: Pressure | undefined;
  /** False: somebody should lead, and nobody is known to. */
  readonly leaderKnown: boolean;
  readonly configFault: string | undefined;
  readonly restartRequired: readonly string[];
  /** Granted while a replica that would show it is cut off, millionths of a US dollar. */
  readonly unconfirmedMicros?: number | undefined;
  /** Changes and new slices are refused, since a failover would lose them. */
  readonly beyondRpo?: boolean | undefined;
}

export function degradationsOf(facts: StandingFacts): readonly Degradation[] {
  const found: Degradation[] = [];
  const add = (reason: DegradedReason, message: string): void => void found.push({ reason, message });
  if (facts.schemaFault !== undefined) add('schema', facts.schemaFault);
  if (facts.databaseUp === false) {
    add('database', 'PostgreSQL cannot be reached: known keys are served, new keys and spend rows wait');
  }
  if (facts.redisUp === false) add('redis', 'Redis cannot be reached: cooldowns are not shared between processes');
  if (facts.snapshotAgeSeconds !== undefined && facts.databaseUp === false) {
    add('snapshot', `keys come from a snapshot of ${Math.round(facts.snapshotAgeSeconds)} s ago`);
  }
  if (facts.pressure === 'soft') {
    add('outbox', 'the spend outbox is nearly full: requests of keys with a budget are refused');
  }
  if (facts.pressure === 'hard') {
    add('outbox', 'the spend outbox takes no more: requests that cost money are refused');
  }
  // A database that is away has no leader; that is said once.
  if (!facts.leaderKnown && facts.databaseUp === true) {
    add('leader', 'no process is known to lead: the configuration stays as it is');
  }
  // Not why: whoever may see the pages of probes need not see that.
  if (facts.configFault !== undefined) {
    add(
      'config',
      'the newest configuration could not be read or used, the one before goes on; /config/sync/status says why',
    );
  }
  if (facts.unconfirmedMicros !== undefined && facts.unconfirmedMicros > 0) {
    const dollars = (facts.unconfirmedMicros / 1e6).toFixed(2);
    add(
      'budgets',
      `a failover now could grant $${dollars} of budgets again: no replica has shown that they were granted`,
    );
  }
  if (facts.beyondRpo === true) {
    add('rpo', 'every replica is farther behind than may be lost: changes and new slices of budgets are refused');
  }
  if (facts.restartRequired.length > 0) {
    add('restart-required', `these settings wait for a restart: ${facts.restartRequired.join(', ')}`);
  }
  return found;
}

export interface DegradedSince extends Degradation {
  readonly sinceMs: number;
}

const lookEveryMs = 1_000;

/** Remembers since when each reason holds. */
export class Degradations {
  readonly #facts: () => StandingFacts;
  readonly #now: () => number;
  readonly #since = new Map<DegradedReason, number>();
  #timer: NodeJS.Timeout | undefined;

  /** @param now wall clock, milliseconds. */
  constructor(facts: () => StandingFacts, now: () => number) {
    this.#facts = facts;
    this.#now = now;
  }

  start(): void {
    this.#timer = setInterval(() => this.list(), lookEveryMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  list(): readonly DegradedSince[] {
    const nowMs = this.#now();
    const found = degradationsOf(this.#facts());
    for (const reason of this.#since.keys()) {
      if (!found.some((one) => one.reason === reason)) this.#since.delete(reason);
    }
    return found.map((one) => {
      const sinceMs = this.#since.get(one.reason) ?? nowMs;
      this.#since.set(one.reason, sinceMs);
      return { ...one, sinceMs };
    });
  }
}
