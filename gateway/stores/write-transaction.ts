/**
 * The transaction of a control-plane write: it begins with the right to write, and is acknowledged only while that right
 * lasts. The clock that counts is this process's own, from before the database was asked.
 */
import { NotWriter, OutcomeUnknown, StoreUnavailable } from '../domain/keys.ts';
import { timingOf, usualTtlSeconds } from '../region/right-to-write.ts';
import { type RegionRules, regionRules } from '../region/rules.ts';
import { codeOf, epochSql, isUnavailable, type Pool, type PoolClient, timelineSql } from './postgres.ts';

/** What a process believes about the right to write; asked anew for every write. */
export interface WriteRight {
  readonly region: string;
  readonly rules: RegionRules;
  /** The newest epoch it has heard of; undefined = there is one region only, so whichever the database is in. */
  epoch(): number | undefined;
  ttlSeconds(): number;
  /** The database disagreed: whoever watches the region looks again. Resolves when it has. */
  refused(): Promise<void>;
  /** Every replica that could take over is farther behind than may be lost, and then no change is taken; absent = never. */
  isBeyondRpo?(): boolean;
}

/** Of an installation of one region, as its migrations leave it. */
export const onlyRegion: WriteRight = {
  region: 'local',
  rules: regionRules,
  epoch: () => undefined,
  ttlSeconds: () => usualTtlSeconds,
  refused: async () => undefined,
};

/** Below the pool's own time-out, so that the server gives up first and says why. */
const longestStatementMs = 4_000;

export class WriteTransaction {
  readonly #pool: Pick<Pool, 'isCurrent'>;
  readonly #client: PoolClient;
  readonly #right: WriteRight;
  readonly #now: () => number;
  #epoch = 0;
  #rightUntilMs = 0;

  /** @param now monotonic, milliseconds. */
  constructor(pool: Pick<Pool, 'isCurrent'>, client: PoolClient, right: WriteRight, now: () => number) {
    this.#pool = pool;
    this.#client = client;
    this.#right = right;
    this.#now = now;
  }

  /** @throws NotWriter, with nothing changed. */
  async begin(): Promise<void> {
    const { region, rules } = this.#right;
    if (this.#right.isBeyondRpo?.() === true) throw new NotWriter('beyond-rpo');
    const { marginMs, transactionMs } = timingOf(this.#right.ttlSeconds());
    const limitMs = Math.min(transactionMs, longestStatementMs);
    await this.#client.query(
      `BEGIN; SET LOCAL statement_timeout = ${limitMs}; SET LOCAL lock_timeout = ${Math.floor(limitMs * 0.75)};
       SET LOCAL idle_in_transaction_session_timeout = ${transactionMs};
       SELECT set_config(name, '${transactionMs}', true) FROM pg_settings WHERE name = 'transaction_timeout'`,
    );
    await this.#requireCurrentServer();
    const askedAtMs = this.#now();
    const { text, values } = rules.beginControlWrite(this.#right.epoch(), region, marginMs);
    try {
      const { rows } = await this.#client.query<{ epoch: bigint; lease_ms: bigint }>(text, [...values]);
      const [row] = rows;
      this.#epoch = Number(row?.epoch ?? 0);
      this.#rightUntilMs = askedAtMs + Number(row?.lease_ms ?? 0);
    } catch (error) {
      throw notWriter(error) ?? error;
    }
  }

  /** A server that was replaced may still be there, behind a connection from before. @throws StoreUnavailable */
  async #requireCurrentServer(): Promise<void> {
    const { rows } = await this.#client.query<{ timeline: number; epoch: number }>(
      `SELECT ${timelineSql} AS timeline, ${epochSql} AS epoch`,
    );
    const { timeline = 0, epoch = 0 } = rows[0] ?? {};
    if (timeline === 0 || this.#pool.isCurrent(timeline, epoch)) return;
    throw new StoreUnavailable(new Error('this connection leads to a server that was replaced'));
  }

  /** @throws OutcomeUnknown when the connection broke, or when the commit took longer than the right to write. */
  async commit(): Promise<void> {
    try {
      await this.#client.query('COMMIT');
    } catch (error) {
      throw isUnavailable(error) ? new OutcomeUnknown(error) : error;
    }
    // The commit can hang for any time, and the successor may have begun meanwhile.
    const lease = this.#now() < this.#rightUntilMs ? { epoch: this.#epoch } : undefined;
    if (!this.#right.rules.mayAcknowledge(lease, this.#epoch)) {
      throw new OutcomeUnknown(new Error('the right to write ended before the commit did'));
    }
  }
}

/** What the database's refusal means; undefined = it is not about the right to write. */
export function notWriter(error: unknown): NotWriter | undefined {
  switch (codeOf(error)) {
    case '25006':
      return new NotWriter('replica', error);
    case 'HF001':
      return new NotWriter('another-epoch', error);
    case 'HF002':
      return new NotWriter('lease-over', error);
    default:
      return undefined;
  }
}
