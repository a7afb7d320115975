/** Deployments that were made over the API, as every process reads them. */
import type { Pool } from './postgres.ts';

export interface StoredModel {
  readonly modelId: string;
  readonly modelName: string;
  /** Secrets in it are sealed. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly info: Readonly<Record<string, unknown>>;
}

interface ModelRow {
  readonly model_id: string;
  readonly model_name: string;
  readonly params: Record<string, unknown>;
  readonly info: Record<string, unknown>;
}

/** More than anybody made by hand. */
const most = 10_000;

export class ModelDefinitions {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Another text whenever any of them changed; empty while there was never one. */
  async state(): Promise<string> {
    const { rows } = await this.#pool.query<{ state: string }>(
      `SELECT CASE WHEN count(*) = 0 THEN '' ELSE concat(count(*), ' ', sum(revision), ' ', max(updated_at)) END AS state
         FROM model_definition`,
    );
    return rows[0]?.state ?? '';
  }

  async all(): Promise<readonly StoredModel[]> {
    const { rows } = await this.#pool.query<ModelRow>(
      `SELECT model_id, model_name, params, info FROM model_definition WHERE deleted_at IS NULL
        ORDER BY created_at, model_id LIMIT ${most}`,
    );
    return rows.map((row) => ({
      modelId: row.model_id,
      modelName: row.model_name,
      params: row.params,
      info: row.info,
    }));
  }
}
