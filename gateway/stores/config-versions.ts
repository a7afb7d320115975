/** Configurations that were live, in PostgreSQL. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { OutcomeUnknown } from '../domain/keys.ts';
import { isUnavailable, type Pool, type PoolClient } from './postgres.ts';
import { onlyRegion, type WriteRight, WriteTransaction } from './write-transaction.ts';

export interface ConfigVersion {
  readonly version: bigint;
  readonly sha256: string;
  readonly source: string;
  /** False for a rollback. */
  readonly fromSource: boolean;
  readonly createdBy: string;
  readonly createdAt: Date;
}

export interface SourceState {
  readonly source: string;
  readonly etag: string | undefined;
  readonly sha256: string | undefined;
  /** Why the source's newest text was not taken. */
  readonly fault: string | undefined;
  readonly checkedAt: Date;
}

export interface NewVersion {
  readonly text: string;
  readonly sha256: string;
  readonly source: string;
  readonly fromSource: boolean;
  readonly createdBy: string;
}

/** Who may write: the leader, in its epoch. */
export interface Mandate {
  readonly lease: string;
  readonly epoch: bigint;
}

/** The text cannot be opened: it was sealed with another salt key, or changed. */
export class SealBroken extends Error {
  constructor(version: bigint) {
    super(`Config version ${version} cannot be opened; is LITELLM_SALT_KEY the one it was sealed with?`);
    this.name = 'SealBroken';
  }
}

interface VersionRow {
  version: bigint;
  sha256: string;
  source: string;
  from_source: boolean;
  created_by: string;
  created_at: Date;
}

/** So many of the newest are kept, and every one that was live in so many days. */
const keptVersions = 200;
const keptDays = 90;

/**
 * A version is live until the next one is made. Kept besides: the newest that came from the source, which later texts of the
 * source are compared with, and what a process still runs on. In pieces, so that a first time does not take long.
 */
const pruneSql = `
  DELETE FROM config_version WHERE version IN (
    SELECT v.version
      FROM (SELECT version, lead(created_at) OVER (ORDER BY version) AS live_until,
                   row_number() OVER (ORDER BY version DESC) AS place FROM config_version) v
     WHERE v.place > $1 AND v.live_until < clock_timestamp() - make_interval(days => $2)
       AND v.version IS DISTINCT FROM (SELECT max(version) FROM config_version WHERE from_source)
       AND NOT EXISTS (SELECT 1 FROM gateway_process p
                        WHERE p.config_version = v.version AND p.seen_at > clock_timestamp() - interval '1 hour')
     ORDER BY v.version LIMIT 1000)`;

const columns = 'version, sha256, source, from_source, created_by, created_at';

export class ConfigVersions {
  readonly #pool: Pool;
  readonly #seal: Seal | undefined;
  /** What this process believes of the right to write. */
  right: WriteRight = onlyRegion;

  /** @param saltKey seals what is stored; without one the text is stored as it is. */
  constructor(pool: Pool, saltKey: string | undefined) {
    this.#pool = pool;
    this.#seal = saltKey === undefined ? undefined : new Seal(saltKey);
  }

  async newest(): Promise<ConfigVersion | undefined> {
    const { rows } = await this.#pool.query<VersionRow>(
      `SELECT ${columns} FROM config_version ORDER BY version DESC LIMIT 1`,
    );
    return rows[0] && toVersion(rows[0]);
  }

  /** Newest first. */
  async history(limit: number): Promise<ConfigVersion[]> {
    const { rows } = await this.#pool.query<VersionRow>(
      `SELECT ${columns} FROM config_version ORDER BY version DESC LIMIT $1`,
      [limit],
    );
    return rows.map(toVersion);
  }

  /** Hash of the newest text that came from the source: what it must differ from to make a new version. */
  async newestFromSource(): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ sha256: string }>(
      'SELECT sha256 FROM config_version WHERE from_source ORDER BY version DESC LIMIT 1',
    );
    return rows[0]?.sha256;
  }

  /** @returns undefined when there is no such version. @throws SealBroken */
  async textOf(version: bigint): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ content: Buffer; sealed: boolean }>(
      'SELECT content, sealed FROM config_version WHERE version = $1',
      [version],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    if (!row.sealed) return row.content.toString();
    const text = this.#seal?.open(row.content);
    if (text === undefined) throw new SealBroken(version);
    return text;
  }

  /**
   * One control-plane write with the look at the lease: a leader that was replaced stores nothing, and neither does a
   * region that does not write. Old versions go with it. @throws code HF020 for the one, NotWriter for the other.
   */
  async add(added: NewVersion, mandate: Mandate): Promise<ConfigVersion> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      const transaction = new WriteTransaction(this.#pool, client, this.right, () => performance.now());
      await transaction.begin();
      const version = await this.#insert(client, added, mandate);
      await client.query(pruneSql, [keptVersions, keptDays]);
      await transaction.commit();
      return version;
    } catch (error) {
      broken = await rollBack(client, error);
      throw error;
    } finally {
      // A connection whose state nobody knows is not used again.
      client.release(broken);
    }
  }

  async #insert(client: PoolClient, added: NewVersion, mandate: Mandate): Promise<ConfigVersion> {
    const content = this.#seal?.close(added.text) ?? Buffer.from(added.text);
    const { rows } = await client.query<VersionRow>(
      `WITH mandate AS MATERIALIZED (SELECT require_leader($1, $2))
       INSERT INTO config_version (sha256, content, sealed, source, from_source, created_by, leader_epoch)
       SELECT $3, $4, $5, $6, $7, $8, $2 FROM mandate RETURNING ${columns}`,
      [
        mandate.lease,
        mandate.epoch,
        added.sha256,
        content,
        this.#seal !== undefined,
        added.source,
        added.fromSource,
        added.createdBy,
      ],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the new config version has no row');
    return toVersion(row);
  }

  async saveSourceState(state: Omit<SourceState, 'checkedAt'>): Promise<void> {
    await this.#pool.query(
      `INSERT INTO config_source_state (source, etag, sha256, fault, checked_at)
       VALUES ($1, $2, $3, $4, clock_timestamp())
       ON CONFLICT (one) DO UPDATE SET source = excluded.source, etag = excluded.etag, sha256 = excluded.sha256,
         fault = excluded.fault, checked_at = excluded.checked_at`,
      [state.source, state.etag ?? null, state.sha256 ?? null, state.fault ?? null],
    );
  }

  async sourceState(): Promise<SourceState | undefined> {
    const { rows } = await this.#pool.query<{
      source: string;
      etag: string | null;
      sha256: string | null;
      fault: string | null;
      checked_at: Date;
    }>('SELECT source, etag, sha256, fault, checked_at FROM config_source_state');
    const [row] = rows;
    return (
      row && {
        source: row.source,
        etag: row.etag ?? undefined,
        sha256: row.sha256 ?? undefined,
        fault: row.fault ?? undefined,
        checkedAt: row.checked_at,
      }
    );
  }
}

/** @returns the error that makes the connection unusable, if it is. */
async function rollBack(client: PoolClient, because: unknown): Promise<Error | undefined> {
  if (because instanceof OutcomeUnknown || isUnavailable(because)) return toError(because);
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return toError(error);
  }
}

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

const toVersion = (row: VersionRow): ConfigVersion => ({
  version: row.version,
  sha256: row.sha256,
  source: row.source,
  fromSource: row.from_source,
  createdBy: row.created_by,
  createdAt: row.created_at,
});

const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM under a key of its own: the salt key has other uses, and none of them must be able to stand for another. */
class Seal {
  readonly #key: Uint8Array;

  constructor(saltKey: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', saltKey, '', 'holdfast config version', 32));
  }

  close(text: string): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  }

  open(sealed: Buffer): string | undefined {
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString();
    } catch (error) {
      // Node says only that it could not authenticate.
      if (error instanceof Error) return undefined;
      throw error;
    }
  }
}
