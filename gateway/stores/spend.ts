/** The ledger in PostgreSQL. One statement a call and no session state, so PgBouncer may stand in between. */
import { type Census, type LogPosition, type SpendLedger, SpendRefused } from '../domain/spend.ts';
import { isImpossibleStatement, isRefusedValue, type Pool } from './postgres.ts';

export interface PostgresLedgerOptions {
  readonly pool: Pool;
  /** False: accounts and sums are kept, rows of single requests are not. */
  readonly keepRows: boolean;
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
  /** As the option says; may change while spend is shipped. */
  keepRows: boolean;

  constructor({ pool, keepRows }: PostgresLedgerOptions) {
    this.#pool = pool;
    this.keepRows = keepRows;
  }

  async ship(logId: string, firstSeq: number, events: readonly string[]): Promise<number> {
    try {
      const rows = await this.#ask<{ applied: bigint }>(
        'SELECT ship_events($1, $2, $3::json, $4) AS applied',
        [logId, firstSeq, `[${events.join(',')}]`, this.keepRows],
        shipTimeoutMs,
      );
      return Number(rows[0]?.applied ?? 0);
    } catch (error) {
      throw isRefusedValue(error) || isImpossibleStatement(error) ? new SpendRefused(error) : error;
    }
  }

  async skip(logId: string, toSeq: number): Promise<number> {
    const rows = await this.#ask<{ applied: bigint }>('SELECT skip_events($1, $2) AS applied', [logId, toSeq]);
    return Number(rows[0]?.applied ?? 0);
  }

  async positions(logIds: readonly string[]): Promise<ReadonlyMap<string, LogPosition>> {
    const rows = await this.#ask<PositionRow>(
      'SELECT id, applied_seq, closed_at IS NOT NULL AS closed FROM spend_log WHERE id = ANY($1::uuid[])',
      [logIds],
    );
    return new Map(rows.map(({ id, applied_seq, closed }) => [id, { appliedSeq: Number(applied_seq), closed }]));
  }

  async close(logId: string, lastSeq: number): Promise<boolean> {
    const rows = await this.#ask<{ closed: boolean }>('SELECT close_log($1, $2) AS closed', [logId, lastSeq]);
    return rows[0]?.closed ?? false;
  }

  async touch(logId: string): Promise<Census> {
    const rows = await this.#ask<TouchRow>(
      // The position is that before the statement; a log without one is new to the ledger.
      `SELECT live, rank, closed, (SELECT applied_seq FROM spend_log WHERE id = $1) AS applied_seq FROM touch_log($1)`,
      [logId],
      touchTimeoutMs,
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the database said nothing of this process');
    const { live, rank, closed, applied_seq: applied } = row;
    return { live, rank, closed, appliedSeq: Number(applied ?? 0) };
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
