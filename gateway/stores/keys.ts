/** Keys in PostgreSQL, kept in memory once seen, so that a request costs no query and survives the database's absence. */
import { LRUCache } from 'lru-cache';
import {
  type KeyAdministration,
  type KeyDirectory,
  type KeyRecord,
  type NewKey,
  StoreUnavailable,
} from '../domain/keys.ts';
import { Gate, GateFull } from './gate.ts';
import { isUnavailable, type Pool } from './postgres.ts';

interface KeyRow {
  key_hash: string;
  key_alias: string | null;
  role: 'admin' | 'caller';
  models: string[];
  blocked: boolean;
  expires_at: Date | null;
  updated_at: Date;
  deleted_at: Date | null;
}

/** All columns are null in the one row that says that nothing changed. */
type PollRow = (KeyRow | { readonly key_hash: null }) & { readonly polled_at: Date };

const columns = 'key_hash, key_alias, role, models, blocked, expires_at, updated_at, deleted_at';
const keysInMemory = 100_000;
/** Unknown keys are remembered for a moment, so that a client in a loop does not ask the database each time. */
const unknownKeysInMemory = 10_000;
const unknownForMs = 5_000;
/** Changes commit in another order than their timestamps; looking back this far misses none of ordinary length. */
const overlapSeconds = 10;
/** Lookups of keys that are not in memory: so many of the pool's connections, and so many requests that wait for one. */
const lookupsAtOnce = 4;
const lookupsWaiting = 500;

export class KeyStore implements KeyDirectory, KeyAdministration {
  readonly #pool: Pool;
  readonly #keys = new LRUCache<string, KeyRecord>({ max: keysInMemory });
  readonly #unknown = new LRUCache<string, true>({ max: unknownKeysInMemory, ttl: unknownForMs });
  /** Lookups under way: many requests with one new key ask once. */
  readonly #asking = new Map<string, Promise<KeyRecord | undefined>>();
  /** A flood of invented keys must leave connections to everybody else. */
  readonly #gate = new Gate(lookupsAtOnce, lookupsWaiting);
  /** The newest change that is known here. */
  #seenUntil: Date | undefined;
  /** The database's clock when it was last polled: what changed before that, less the overlap, was seen. */
  #polledAt: Date | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  find(keyHash: string): KeyRecord | undefined | Promise<KeyRecord | undefined> {
    const known = this.#keys.get(keyHash);
    if (known !== undefined) return known;
    if (this.#unknown.has(keyHash)) return undefined;
    let answer = this.#asking.get(keyHash);
    if (answer === undefined) {
      answer = this.#ask(keyHash).finally(() => this.#asking.delete(keyHash));
      this.#asking.set(keyHash, answer);
    }
    return answer;
  }

  async #ask(keyHash: string): Promise<KeyRecord | undefined> {
    const [row] = await this.#throughGate(() =>
      this.#query(`SELECT ${columns} FROM api_key WHERE key_hash = $1`, [keyHash]),
    );
    if (row === undefined) this.#unknown.set(keyHash, true);
    else this.#learn(row);
    return this.#keys.get(keyHash);
  }

  async #throughGate<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#gate.through(work);
    } catch (error) {
      throw error instanceof GateFull ? new StoreUnavailable(error) : error;
    }
  }

  /** Fills the memory at start with the keys that changed last. */
  async preload(): Promise<void> {
    const rows = await this.#query(`SELECT ${columns} FROM api_key ORDER BY updated_at DESC LIMIT ${keysInMemory}`, []);
    for (const row of rows.toReversed()) this.#learn(row);
  }

  /** Takes over what changed since the last look: revocations, above all. @returns whether anything did. */
  async poll(): Promise<boolean> {
    const since = this.#polledAt ?? this.#seenUntil;
    if (since === undefined) {
      // Nothing was ever read, as after a start from the snapshot: all of it would be too much.
      await this.preload();
      const found = this.#seenUntil !== undefined;
      this.#seenUntil ??= new Date(0);
      return found;
    }
    // One row comes back even when nothing changed, since it tells the database's clock. Looking back from that clock,
    // and not from the newest change, reads each change for a few seconds only and not for ever.
    const rows = await this.#query<PollRow>(
      `SELECT clock.polled_at, ${columns} FROM (SELECT clock_timestamp() AS polled_at) AS clock
       LEFT JOIN api_key ON updated_at > $1::timestamptz - interval '${overlapSeconds} seconds' ORDER BY updated_at`,
      [since],
    );
    const before = this.#seenUntil?.getTime() ?? 0;
    for (const row of rows) if (row.key_hash !== null) this.#learn(row);
    this.#polledAt = rows[0]?.polled_at;
    return (this.#seenUntil?.getTime() ?? 0) > before;
  }

  #learn(row: KeyRow): void {
    if (this.#seenUntil === undefined || row.updated_at > this.#seenUntil) this.#seenUntil = row.updated_at;
    this.#unknown.delete(row.key_hash);
    if (row.deleted_at !== null) {
      this.#keys.delete(row.key_hash);
      this.#unknown.set(row.key_hash, true);
      return;
    }
    this.#keys.set(row.key_hash, {
      keyHash: row.key_hash,
      keyAlias: row.key_alias ?? undefined,
      role: row.role,
      models: row.models,
      blocked: row.blocked,
      expiresAtMs: row.expires_at?.getTime(),
    });
  }

  /** What a restart without a database would need. */
  known(): KeyRecord[] {
    return [...this.#keys.values()];
  }

  /** Takes over what an earlier process knew. */
  restore(records: readonly KeyRecord[]): void {
    for (const record of records) this.#keys.set(record.keyHash, record);
  }

  async insert(key: NewKey): Promise<boolean> {
    const rows = await this.#query(
      `INSERT INTO api_key (key_hash, key_name, key_alias, role, models, expires_at, metadata, created_by)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING ${columns}`,
      [
        key.keyHash,
        key.keyName,
        key.keyAlias ?? null,
        key.role,
        [...key.models],
        key.expiresAtMs === undefined ? null : new Date(key.expiresAtMs),
        JSON.stringify(key.metadata ?? {}),
        key.createdBy,
      ],
    );
    for (const row of rows) this.#learn(row);
    return rows.length === 1;
  }

  async remove(keyHashes: readonly string[]): Promise<string[]> {
    const rows = await this.#query(
      `UPDATE api_key SET deleted_at = clock_timestamp(), key_alias = NULL
       WHERE key_hash = ANY($1) AND deleted_at IS NULL RETURNING ${columns}`,
      [[...keyHashes]],
    );
    for (const row of rows) this.#learn(row);
    return rows.map((row) => row.key_hash);
  }

  /** Whether any administrator key exists. */
  async hasAdmin(): Promise<boolean> {
    const rows = await this.#query(
      `SELECT ${columns} FROM api_key WHERE role = 'admin' AND deleted_at IS NULL AND NOT blocked LIMIT 1`,
      [],
    );
    return rows.length > 0;
  }

  async #query<Row extends object = KeyRow>(text: string, values: unknown[]): Promise<Row[]> {
    try {
      return (await this.#pool.query<Row>(text, values)).rows;
    } catch (error) {
      throw isUnavailable(error) ? new StoreUnavailable(error) : error;
    }
  }
}
