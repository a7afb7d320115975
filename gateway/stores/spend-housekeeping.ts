/** What the ledger needs from time to time: partitions for days to come, an end for old ones and for logs of the lost. */
import type { Pool } from './postgres.ts';

export interface HousekeepingOptions {
  readonly pool: Pool;
  /** Rows of single requests are kept for so many days; undefined = for ever. The sums per day stay. */
  readonly retentionDays: number | undefined;
  /** Only the database of the writer region is kept: what a replica has comes by replication. */
  readonly region: string;
  /** Told when a round is the first that is left out, and why; undefined = rounds are made again. */
  readonly onSkipped: (because: string | undefined) => void;
  readonly onDone: (done: Housekeeping) => void;
  readonly onFailed: (error: Error) => void;
}

/** Of one round; all 0 when another process was at it. */
export interface Housekeeping {
  readonly preparedPartitions: number;
  readonly droppedPartitions: number;
  readonly abandonedLogs: number;
  /** Of logs that were closed a day ago: nothing is held by them, and nobody asks for them again. */
  readonly removedSlices: number;
}

const everyMs = 10 * 60_000;
const daysAhead = 8;
/** A log that nobody has sent anything of for so long: its disk is lost. What it held becomes free again. */
const silentHours = 24;
const timeoutMs = 30_000;
const mostLogs = 100;
const closedHours = 24;

/** Released at the end of the statement's transaction, so PgBouncer may stand in between. */
const alone = `pg_try_advisory_xact_lock(hashtext('holdfast spend housekeeping'))`;

export class SpendHousekeeping {
  readonly #options: HousekeepingOptions;
  /** As the option says; may change between rounds. */
  retentionDays: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #skipped: string | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.retentionDays = options.retentionDays;
  }

  start(): void {
    // Processes that start together do not ask together.
    this.#later(Math.random() * 5_000);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #later(afterMs: number): void {
    this.#timer = setTimeout(() => {
      void this.round().then(() => {
        if (this.#timer !== undefined) this.#later(everyMs * (0.75 + Math.random() / 2));
      });
    }, afterMs).unref();
  }

  /** Never rejects. */
  async round(): Promise<void> {
    const { onDone, onFailed } = this.#options;
    const { retentionDays } = this;
    try {
      if (await this.#skips()) return;
      const preparedPartitions = await this.#count(
        `SELECT CASE WHEN ${alone} THEN prepare_spend_partitions(current_date - 1, ${daysAhead + 1}) ELSE 0 END AS n`,
      );
      const droppedPartitions =
        retentionDays === undefined
          ? 0
          : await this.#count(
              `SELECT CASE WHEN ${alone} THEN drop_spend_partitions(current_date - $1::integer) ELSE 0 END AS n`,
              retentionDays,
            );
      const abandonedLogs = await this.#abandon();
      onDone({ preparedPartitions, droppedPartitions, abandonedLogs, removedSlices: await this.#removeSlices() });
    } catch (error) {
      onFailed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #skips(): Promise<boolean> {
    const { region, onSkipped } = this.#options;
    const [row] = await this.#query<{ is_replica: boolean; writer: string }>(
      'SELECT pg_is_in_recovery() AS is_replica, writer_region AS writer FROM region_epoch',
    );
    const because = reasonToSkip(row, region);
    if (because !== this.#skipped) onSkipped(because);
    this.#skipped = because;
    return because !== undefined;
  }

  async #abandon(): Promise<number> {
    const rows = await this.#query<{ id: string }>(
      `SELECT id FROM spend_log WHERE closed_at IS NULL AND seen_at < clock_timestamp() - make_interval(hours => $1)
        ORDER BY seen_at LIMIT ${mostLogs}`,
      silentHours,
    );
    let abandoned = 0;
    // One statement each: it locks accounts, and in the order of one log only. Once is enough, whoever else does it.
    for (const { id } of rows) abandoned += await this.#count('SELECT abandon_log($1)::integer AS n', id);
    return abandoned;
  }

  /** The logs themselves stay: their positions say what must not be counted again. */
  async #removeSlices(): Promise<number> {
    return this.#count(
      `WITH removed AS (
         DELETE FROM slice WHERE granted_micros = returned_micros + spent_micros AND log_id IN (
           SELECT id FROM spend_log l WHERE closed_at < clock_timestamp() - make_interval(hours => $1)
              AND EXISTS (SELECT 1 FROM slice s WHERE s.log_id = l.id) ORDER BY closed_at LIMIT ${mostLogs})
         RETURNING 1
       ) SELECT count(*)::integer AS n FROM removed`,
      closedHours,
    );
  }

  async #count(text: string, ...values: unknown[]): Promise<number> {
    const rows = await this.#query<{ n: number }>(text, ...values);
    return rows[0]?.n ?? 0;
  }

  async #query<Row extends object>(text: string, ...values: unknown[]): Promise<readonly Row[]> {
    const query = { text, values, query_timeout: timeoutMs };
    return (await this.#options.pool.query<Row>(query)).rows;
  }
}

/** @returns undefined for the database that everything is written to. */
export function reasonToSkip(
  row: { readonly is_replica: boolean; readonly writer: string } | undefined,
  region: string,
): string | undefined {
  if (row === undefined) return 'it has no region row yet: it is not migrated';
  if (row.is_replica) return `it is a replica, and ${row.writer} keeps the original`;
  // Fenced, or promoted and not raised yet: whatever is written here will be thrown away, or is not ours to write.
  return row.writer === region ? undefined : `its row names ${row.writer}, and this is ${region}`;
}
