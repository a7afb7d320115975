/** The ledger in PostgreSQL. One statement a call and no session state, so PgBouncer may stand in between. */
import { NotWriter } from '../domain/keys.ts';
import { type Census, type LogPosition, type SpendLedger, SpendRefused } from '../domain/spend.ts';
import { isImpossibleStatement, isRefusedValue, type Pool } from './postgres.ts';
import { notWriter, onlyRegion } from './write-transaction.ts';

export interface PostgresLedgerOptions {
  readonly pool: Pool;
  /** False: accounts and sums are kept, rows of single requests are not. */
  readonly keepRows: boolean;
  /** It takes spend only while the database's row names this region; the one region of an installation by default. */
  readonly region?: string;
}

/** A batch waits for the locks of accounts that everybody shares. */
const shipTimeoutMs = 10_000;
const callTimeoutMs = 5_000;
/** Those that wait for this answer have something else to do meanwhile. */
const touchTimeoutMs = 2_000;

interface PositionRow {
  readonly id: string;
  readonly applied_seq: bigint;
  readonly closed: boolean;
}

interface TouchRow {
  readonly live: number;
  readonly rank: number;
  readonly closed: boolean;
  readonly applied_seq: bigint | null;
}

export class PostgresSpendLedger implements SpendLedger {
  readonly #pool: Pool;
  readonly #region: string;
  /** As the option says; may change while spend is shipped. */
  keepRows: boolean;

  constructor({ pool, keepRows, region = onlyRegion.region }: PostgresLedgerOptions) {
    this.#pool = pool;
    this.#region = region;
    this.keepRows = keepRows;
  }

  async ship(logId: string, firstSeq: number, events: readonly string[]): Promise<number> {
    try {
      const row = await this.#change<{ applied: bigint }>(
        'ship_events($1, $2, $3::json, $4) AS applied',
        [logId, firstSeq, `[${events.join(',')}]`, this.keepRows],
        shipTimeoutMs,
      );
      return Number(row.applied);
    } catch (error) {
      if (error instanceof NotWriter) throw error;
      throw isRefusedValue(error) || isImpossibleStatement(error) ? new SpendRefused(error) : error;
    }
  }

  async skip(logId: string, toSeq: number): Promise<number> {
    const row = await this.#change<{ applied: bigint }>('skip_events($1, $2) AS applied', [logId, toSeq]);
    return Number(row.applied);
  }

  async positions(logIds: readonly string[]): Promise<ReadonlyMap<string, LogPosition>> {
    const rows = await this.#ask<PositionRow>(
      'SELECT id, applied_seq, closed_at IS NOT NULL AS closed FROM spend_log WHERE id = ANY($1::uuid[])',
      [logIds],
    );
    return new Map(rows.map(({ id, applied_seq, closed }) => [id, { appliedSeq: Number(applied_seq), closed }]));
  }

  /** Of processes that were heard of in the last seconds. */
  async livingLogs(): Promise<ReadonlySet<string>> {
    const rows = await this.#ask<{ id: string }>(
      `SELECT id FROM spend_log WHERE closed_at IS NULL AND alive_at > clock_timestamp() - interval '15 seconds'`,
      [],
    );
    return new Set(rows.map(({ id }) => id));
  }

  async close(logId: string, lastSeq: number): Promise<boolean> {
    return (await this.#change<{ closed: boolean }>('close_log($1, $2) AS closed', [logId, lastSeq])).closed;
  }

  async touch(logId: string): Promise<Census> {
    const row = await this.#change<TouchRow>(
      // The position is that before the statement; a log without one is new to the ledger.
      `t.live, t.rank, t.closed, (SELECT applied_seq FROM spend_log WHERE id = $1) AS applied_seq`,
      [logId],
      touchTimeoutMs,
      'CROSS JOIN LATERAL touch_log($1) AS t',
    );
    const { live, rank, closed, applied_seq: applied } = row;
    return { live, rank, closed, appliedSeq: Number(applied ?? 0) };
  }

  /**
   * No lease is needed: what a doomed primary takes is still in the outbox.
   * @throws NotWriter when the database is a replica, or its row names another region.
   */
  async #change<Row extends object>(
    what: string,
    values: readonly unknown[],
    timeoutMs?: number,
    joined = '',
  ): Promise<Row> {
    const guarded = `SELECT ${what} FROM region_epoch e ${joined} WHERE e.writer_region = $${values.length + 1}`;
    try {
      const [row] = await this.#ask<Row>(guarded, [...values, this.#region], timeoutMs);
      if (row === undefined) throw new NotWriter('another-epoch');
      return row;
    } catch (error) {
      throw notWriter(error) ?? error;
    }
  }

  async #ask<Row extends object>(
    text: string,
    values: readonly unknown[],
    timeoutMs = callTimeoutMs,
  ): Promise<readonly Row[]> {
    const query = { text, values: [...values], query_timeout: timeoutMs };
    return (await this.#pool.query<Row>(query)).rows;
  }
}
