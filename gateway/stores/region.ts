/** The region's rows in its own database: who writes, and until when. */
import type { Claim, DatabaseView } from '../region/claim.ts';
import type { Pool } from './postgres.ts';

export interface RegionView extends DatabaseView {
  /** The database's clock when it was looked at, as text: only ever handed back to it. */
  readonly readAt: string;
  /** Of the lease; null when it never ends. */
  readonly leaseRemainingMs: number | null;
  /** What a replica still has to replay; 0 on a primary. */
  readonly replayLagMs: number;
}

interface ViewRow {
  is_primary: boolean;
  read_at: string;
  epoch: bigint;
  writer_region: string;
  state: 'open' | 'closed';
  remaining_ms: bigint | null;
  lag_ms: bigint;
}

export class RegionRows {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async view(): Promise<RegionView> {
    const { rows } = await this.#pool.query<ViewRow>(
      `SELECT NOT pg_is_in_recovery() AS is_primary, clock_timestamp()::text AS read_at,
              e.epoch, e.writer_region, e.state,
              CASE WHEN l.until = 'infinity' THEN NULL WHEN l.epoch <> e.epoch THEN 0
                   ELSE greatest(0, floor(extract(epoch FROM l.until - clock_timestamp()) * 1000)) END::bigint AS remaining_ms,
              CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
                   THEN coalesce(floor(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000), 0)
                   ELSE 0 END::bigint AS lag_ms
         FROM region_epoch e CROSS JOIN region_lease l`,
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the database has no region row; run: holdfast migrate');
    return {
      isPrimary: row.is_primary,
      readAt: row.read_at,
      row: { epoch: Number(row.epoch), writer: row.writer_region, state: row.state },
      leaseRemainingMs: row.remaining_ms === null ? null : Number(row.remaining_ms),
      replayLagMs: Number(row.lag_ms),
    };
  }

  /**
   * Writes down how long the renewed claim is good for.
   * @param sentAt the database's clock from before the renewal was sent: the answer may have taken any time.
   * @returns false when the row names another epoch by now.
   */
  async extendLease(claim: Claim, sentAt: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `UPDATE region_lease SET epoch = $1, region = $2, until = $3::timestamptz + make_interval(secs => $4)
        WHERE EXISTS (SELECT 1 FROM region_epoch WHERE epoch = $1 AND writer_region = $2)`,
      [claim.epoch, claim.writer, sentAt, claim.ttlSeconds],
    );
    return rowCount === 1;
  }

  /** The renewal that this database shows: its own, or on a replica the newest that was replayed. */
  async shownLease(): Promise<{ readonly epoch: number; readonly until: string }> {
    const { rows } = await this.#pool.query<{ epoch: bigint; until: string }>(
      'SELECT epoch, until::text FROM region_lease',
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the database has no region row; run: holdfast migrate');
    return { epoch: Number(row.epoch), until: row.until };
  }

  /**
   * How old the renewal is that a replica shows, on this database's clock, which has stamped it.
   * @param until as `shownLease` of the replica gave it.
   * @returns the age, and what of it the replica lacks: nothing when it shows the newest renewal.
   */
  async behind(until: string, ttlSeconds: number): Promise<{ readonly ageMs: number; readonly lagMs: number }> {
    const { rows } = await this.#pool.query<{ age_ms: bigint; is_newest: boolean }>(
      `SELECT floor(extract(epoch FROM clock_timestamp() - ($1::timestamptz - make_interval(secs => $2))) * 1000)::bigint
                AS age_ms, until <= $1::timestamptz AS is_newest FROM region_lease`,
      [until, ttlSeconds],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the database has no region row; run: holdfast migrate');
    const ageMs = Math.max(0, Number(row.age_ms));
    return { ageMs, lagMs: row.is_newest ? 0 : ageMs };
  }

  /** An installation of one region becomes the first writer of several; nothing changes in any other. */
  async nameFirst(region: string): Promise<void> {
    await this.#pool.query('SELECT name_first_region($1)', [region]);
  }

  /** Ends a right to write that was given without the claim; any other ends by itself. */
  async endLease(epoch: number): Promise<void> {
    await this.#pool.query(
      `UPDATE region_lease SET until = clock_timestamp() WHERE epoch = $1 AND until = 'infinity' AND NOT pg_is_in_recovery()`,
      [epoch],
    );
  }

  /** The right to write lasts until a keeper renews it by the claim again. */
  async writeWithoutClaim(epoch: number, region: string): Promise<void> {
    const { rowCount } = await this.#pool.query(
      `UPDATE region_lease SET epoch = $1, region = $2, until = 'infinity'
        WHERE EXISTS (SELECT 1 FROM region_epoch WHERE epoch = $1 AND writer_region = $2 AND state = 'open')`,
      [epoch, region],
    );
    if (rowCount !== 1) throw new Error('the row has changed meanwhile; look again: holdfast region status');
  }
}
