/** Keys that were shut out, in PostgreSQL. */
import type { Pool } from './postgres.ts';
import { type WriteRight, WriteTransaction } from './write-transaction.ts';

export interface StoredDenial {
  readonly seq: number;
  readonly keyHash: string;
  readonly appliedRevision: number;
}

export interface OfferedDenial {
  readonly id: string;
  readonly keyHash: string;
  readonly actor: string;
}

/** Older ones have reached every region by replication, or the region has read all keys anew. */
const tellHours = 24;
const mostAtOnce = 1_000;

export class KeyDenials {
  readonly #pool: Pool;
  readonly #right: WriteRight;

  constructor(pool: Pool, right: WriteRight) {
    this.#pool = pool;
    this.#right = right;
  }

  /** Oldest first. */
  async after(seq: number): Promise<StoredDenial[]> {
    const { rows } = await this.#pool.query<{ seq: bigint; key_hash: string; applied_revision: bigint }>(
      `SELECT seq, key_hash, applied_revision FROM key_denial
        WHERE seq > $1 AND at > clock_timestamp() - interval '${tellHours} hours' ORDER BY seq LIMIT ${mostAtOnce}`,
      [seq],
    );
    return rows.map((row) => ({
      seq: Number(row.seq),
      keyHash: row.key_hash,
      appliedRevision: Number(row.applied_revision),
    }));
  }

  /**
   * Shuts keys out as another region asked, each once by its id.
   * @returns for each the revision from which on the key's row says so itself. @throws NotWriter, OutcomeUnknown
   */
  async apply(denials: readonly OfferedDenial[]): Promise<Map<string, number>> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      const transaction = new WriteTransaction(this.#pool, client, this.#right, () => performance.now());
      await transaction.begin();
      const applied = new Map<string, number>();
      for (const { id, keyHash, actor } of denials) {
        const { rows } = await client.query<{ revision: bigint }>('SELECT apply_key_denial($1, $2, $3) AS revision', [
          id,
          keyHash,
          actor,
        ]);
        applied.set(id, Number(rows[0]?.revision ?? 0));
      }
      await transaction.commit();
      return applied;
    } catch (error) {
      // Nobody knows what state the connection is in; a new one is cheap at this rate.
      broken = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(broken);
    }
  }
}
