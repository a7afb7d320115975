/** What each process that shares the database runs on: told every few seconds, and read by people. */
import type { Pool } from './postgres.ts';

export interface ProcessReport {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly gatewayVersion: string;
  readonly startedAt: Date;
  /** Undefined = straight from its source, or from disk. */
  readonly configVersion: bigint | undefined;
  readonly configSha256: string;
  readonly configFault: string | undefined;
}

export interface HeardProcess extends ProcessReport {
  /** Since it was heard, on the database's clock. */
  readonly silentSeconds: number;
}

interface ProcessRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly gateway_version: string;
  readonly started_at: Date;
  readonly config_version: bigint | null;
  readonly config_sha256: string;
  readonly config_fault: string | null;
  readonly silent_ms: bigint;
}

/** A process that was not heard for so long is gone. */
const goneAfterSeconds = 60;

export class ProcessRegistry {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async tell(report: ProcessReport): Promise<void> {
    await this.#pool.query(
      `WITH gone AS (DELETE FROM gateway_process
                      WHERE seen_at < clock_timestamp() - make_interval(secs => ${goneAfterSeconds}) AND id <> $1)
       INSERT INTO gateway_process AS p
         (id, host, pid, gateway_version, started_at, seen_at, config_version, config_sha256, config_fault)
       VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)
       ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), config_version = excluded.config_version,
         config_sha256 = excluded.config_sha256, config_fault = excluded.config_fault`,
      [
        report.id,
        report.host,
        report.pid,
        report.gatewayVersion,
        report.startedAt,
        report.configVersion ?? null,
        report.configSha256,
        report.configFault ?? null,
      ],
    );
  }

  async leave(id: string): Promise<void> {
    await this.#pool.query('DELETE FROM gateway_process WHERE id = $1', [id]);
  }

  async heard(): Promise<readonly HeardProcess[]> {
    const { rows } = await this.#pool.query<ProcessRow>(
      `SELECT id, host, pid, gateway_version, started_at, config_version, config_sha256, config_fault,
              greatest(0, floor(extract(epoch FROM clock_timestamp() - seen_at) * 1000))::bigint AS silent_ms
         FROM gateway_process WHERE seen_at > clock_timestamp() - make_interval(secs => ${goneAfterSeconds})
        ORDER BY host, pid`,
    );
    return rows.map((row) => ({
      id: row.id,
      host: row.host,
      pid: row.pid,
      gatewayVersion: row.gateway_version,
      startedAt: row.started_at,
      configVersion: row.config_version ?? undefined,
      configSha256: row.config_sha256,
      configFault: row.config_fault ?? undefined,
      silentSeconds: Number(row.silent_ms) / 1000,
    }));
  }
}
