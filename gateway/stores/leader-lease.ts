/** The lease of a leader in PostgreSQL. Time is the database's: clocks of machines are not compared. */
import type { Pool } from './postgres.ts';

export interface LeaseHolding {
  readonly holder: string;
  /** Rises with every change of the holder; never goes back. */
  readonly epoch: bigint;
  /** Left of the lease when the database looked; 0 = nobody leads. */
  readonly remainingMs: number;
}

export class LeaderLease {
  readonly #pool: Pool;
  readonly #name: string;
  readonly #seconds: number;

  constructor(pool: Pool, name: string, seconds: number) {
    this.#pool = pool;
    this.#name = name;
    this.#seconds = seconds;
  }

  /** Takes the lease if it can be had, renews it if it is one's own. @returns who leads now. */
  async take(holder: string): Promise<LeaseHolding> {
    const { rows } = await this.#pool.query<{ holder: string; epoch: bigint; remaining_ms: bigint }>(
      'SELECT holder, epoch, remaining_ms FROM take_leader_lease($1, $2, make_interval(secs => $3))',
      [this.#name, holder, this.#seconds],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the lease has no row');
    return { holder: row.holder, epoch: row.epoch, remainingMs: Number(row.remaining_ms) };
  }

  /**
   * Makes the row say what was decided elsewhere: this holder leads in this epoch. A row of a later epoch stays.
   * @returns what the row says then.
   */
  async hold(holder: string, epoch: bigint): Promise<{ readonly holder: string; readonly epoch: bigint }> {
    const values = [this.#name, holder, epoch, this.#seconds];
    await this.#pool.query(
      `INSERT INTO leader_lease AS l (name, holder, epoch, acquired_at, expires_at)
       VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp() + make_interval(secs => $4))
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, expires_at = excluded.expires_at,
         acquired_at = CASE WHEN l.epoch = excluded.epoch THEN l.acquired_at ELSE excluded.acquired_at END
       WHERE l.epoch < excluded.epoch OR (l.epoch = excluded.epoch AND l.holder = excluded.holder)`,
      values,
    );
    const { rows } = await this.#pool.query<{ holder: string; epoch: bigint }>(
      'SELECT holder, epoch FROM leader_lease WHERE name = $1',
      [this.#name],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the lease has no row');
    return row;
  }

  /** @returns whether it was this holder's to give up. */
  async resign(holder: string): Promise<boolean> {
    const { rows } = await this.#pool.query<{ resigned: boolean }>('SELECT resign_leader_lease($1, $2) AS resigned', [
      this.#name,
      holder,
    ]);
    return rows[0]?.resigned === true;
  }
}
