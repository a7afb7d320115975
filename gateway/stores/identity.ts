/** Keys and what they belong to: in PostgreSQL, and in memory once seen, so that a request costs no query. */
import { LRUCache } from 'lru-cache';
import type { Scope } from '../domain/entitlements.ts';
import { Refusal } from '../domain/errors.ts';
import { idOf, type Kind, kinds, type Records } from '../domain/identity.ts';
import { type KeyDirectory, StoreUnavailable } from '../domain/keys.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import { endUserScope, type ResolvedKey } from '../domain/resolve-key.ts';
import { answeredWithin } from './answered-within.ts';
import { Breaker } from './breaker.ts';
import { Gate, GateFull } from './gate.ts';
import { type Content, IdentityMemory } from './identity-memory.ts';
import { selectChanged, selectOf, selectWithBelongings, tables, toRecord } from './identity-rows.ts';
import { epochSql, isUnavailable, type Pool, timelineSql } from './postgres.ts';

export interface KindRow {
  readonly kind: Kind;
  readonly row: Readonly<Record<string, unknown>>;
  /** When it changed, as text: the database is more exact than a Date. */
  readonly at: string;
}

/** Rows as another region sent them. @throws for a kind that is none. */
export const toKindRows = (
  rows: readonly { readonly kind: string; readonly row: Readonly<Record<string, unknown>> }[],
): SentRow[] =>
  rows.map(({ kind, row }) => {
    const known = kinds.find((one) => one === kind);
    if (known === undefined) throw new Error(`there is no kind ${kind.slice(0, 50)}`);
    return { kind: known, row };
  });

export type SentRow = Pick<KindRow, 'kind' | 'row'>;

/** Rows of a key and of what it belongs to, as another region's database has them. Rejects when it cannot be asked. */
export type AskWriter = (keyHash: string) => Promise<readonly SentRow[]>;

/** All but the clock is null in the one row that says that nothing changed. */
type PollRow = (KindRow | { readonly kind: null }) & {
  readonly polled_at: Date;
  readonly timeline: number;
  readonly epoch: number;
};

/** Unknown keys are remembered for a moment, so that a client in a loop does not ask the database each time. */
const unknownKeysInMemory = 10_000;
const unknownForMs = 5_000;
/** Changes commit in another order than their timestamps; looking back this far misses none of ordinary length. */
const overlapSeconds = 10;
/** Lookups of keys that are not in memory: so many of the pool's connections, and so many requests that wait for one. */
const lookupsAtOnce = 4;
const lookupsWaiting = 500;
/** A request waits for its answer, unlike for any other query here. With the wait for a connection. */
const lookupTimeoutMs = 500;
/** Of each kind, at the start: newest first. */
const preloaded = 100_000;
/** Read at once: so little that it takes a fraction of the time-out also on a busy machine. */
const pageRows = 5_000;

export class IdentityStore implements KeyDirectory {
  readonly #pool: Pool;
  readonly memory: IdentityMemory;
  readonly #unknown = new LRUCache<string, true>({ max: unknownKeysInMemory, ttl: unknownForMs });
  /** Lookups under way: many requests with one new key ask once. */
  readonly #asking = new Map<string, Promise<ResolvedKey | undefined>>();
  /** A flood of invented keys must leave connections to everybody else. */
  readonly #gate = new Gate(lookupsAtOnce, lookupsWaiting);
  /** A database that hangs costs the first few requests their time-out, and the others nothing. The mirror says so in the log. */
  readonly #breaker = new Breaker({ now: () => performance.now(), onChange: () => undefined });
  readonly #endUsersAsked = new LRUCache<string, true>({ max: unknownKeysInMemory, ttl: unknownForMs * 12 });
  /** The database's clock when it was last polled: what changed before that, less the overlap, was seen. */
  #polledAt: Date | undefined;
  /** Something was learned since this was last asked. */
  #changed = false;

  /**
   * Who else knows keys that the database here does not; undefined = nobody, as in the writer region. A replica lags, and
   * saying no to a key that was just made would make its owner throw it away.
   */
  askWriter: (() => AskWriter | undefined) | undefined;

  /** @param groups names that stand for model groups in lists of models. */
  constructor(pool: Pool, groups: AccessGroups = new Map()) {
    this.#pool = pool;
    this.memory = new IdentityMemory(groups);
  }

  find(keyHash: string): ResolvedKey | undefined | Promise<ResolvedKey | undefined> {
    const known = this.memory.lookup(keyHash);
    if (typeof known === 'object') return known;
    if (known === 'ended' || (known === 'unknown' && this.#unknown.has(keyHash))) return undefined;
    let answer = this.#asking.get(keyHash);
    if (answer === undefined) {
      answer = this.#ask(keyHash).finally(() => this.#asking.delete(keyHash));
      this.#asking.set(keyHash, answer);
    }
    return answer;
  }

  async #ask(keyHash: string): Promise<ResolvedKey | undefined> {
    const askWriter = this.askWriter?.();
    await this.#askHere(keyHash, askWriter === undefined);
    if (askWriter !== undefined && this.memory.get('key', keyHash) === undefined) {
      for (const row of await this.#gate.through(() => askWriter(keyHash)).catch(asUnavailable)) this.#learn(row);
    }
    const key = this.memory.get('key', keyHash);
    if (key === undefined) {
      this.#unknown.set(keyHash, true);
      return undefined;
    }
    if (key.teamId !== undefined && key.userId !== undefined) this.memory.learnNoMember(key.teamId, key.userId);
    const found = this.memory.lookup(keyHash);
    if (found === 'incomplete') {
      // Its key changed hands between the question and now.
      throw new StoreUnavailable(new Error('the key changed while it was read'));
    }
    return typeof found === 'object' ? found : undefined;
  }

  /** @param isLast nobody else can be asked, so a failure is the answer. */
  async #askHere(keyHash: string, isLast: boolean): Promise<void> {
    try {
      for (const row of await this.rowsOf(keyHash)) this.#learn(row);
    } catch (error) {
      if (isLast || !(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** What the database has of a key and of what it belongs to. @throws StoreUnavailable */
  rowsOf(keyHash: string): Promise<readonly SentRow[]> {
    return this.#look(selectWithBelongings, [keyHash]);
  }

  /** Refuses a key from now on, whatever row of an older revision arrives; see IdentityMemory. */
  deny(keyHash: string, appliedRevision: number | undefined): void {
    this.memory.deny(keyHash, appliedRevision);
    this.#changed = true;
  }

  /** A question that a request waits for. @throws StoreUnavailable */
  async #look(text: string, values: unknown[]): Promise<KindRow[]> {
    const heard = Promise.withResolvers<KindRow[]>();
    const work = async (): Promise<void> => {
      if (!this.#breaker.allows()) throw new StoreUnavailable(new Error('the database did not answer just now'));
      const asked = this.#query<KindRow>(text, values, lookupTimeoutMs);
      answeredWithin(asked, lookupTimeoutMs).then(heard.resolve, (error: unknown) => heard.reject(this.#late(error)));
      // A place is free when its connection is, also when nobody waits any more.
      await Promise.allSettled([asked]);
    };
    this.#gate
      .through(work)
      .catch((error: unknown) => heard.reject(error instanceof GateFull ? new StoreUnavailable(error) : error));
    return heard.promise;
  }

  #late(error: unknown): unknown {
    if (error instanceof StoreUnavailable || !isUnavailable(error)) return error;
    this.#breaker.failed(error);
    return new StoreUnavailable(error);
  }

  /**
   * What binds a customer of a caller; undefined = nothing.
   * @throws Refusal for one that is blocked, StoreUnavailable when it cannot be said.
   */
  endUserScope(id: string): Scope | undefined | Promise<Scope | undefined> {
    const known = this.memory.get('endUser', id);
    if (known === undefined && !this.memory.isWhole('endUser') && !this.#endUsersAsked.has(id)) {
      return this.#askEndUser(id);
    }
    return this.#endUserScope(known);
  }

  async #askEndUser(id: string): Promise<Scope | undefined> {
    const rows = await this.#look(
      `WITH e AS (SELECT * FROM end_user WHERE end_user_id = $1)
       SELECT 'budget' AS kind, to_jsonb(b) AS row FROM budget b JOIN e USING (budget_id)
       UNION ALL SELECT 'endUser', to_jsonb(e) FROM e`,
      [id],
    );
    for (const row of rows) this.#learn(row);
    this.#endUsersAsked.set(id, true);
    return this.#endUserScope(this.memory.get('endUser', id));
  }

  /** The same object for as long as nothing changes, since admission keeps its plans beside it. */
  #endUserScope(record: Records['endUser'] | undefined): Scope | undefined {
    if (record === undefined || record.deleted) return undefined;
    if (record.blocked) {
      throw new Refusal({
        status: 403,
        type: 'auth_error',
        message: `User ${record.endUserId} is blocked`,
        param: 'user',
      });
    }
    const budget = record.budgetId === undefined ? undefined : this.memory.get('budget', record.budgetId);
    const known = this.#endUserScopes.get(record);
    if (known !== undefined && known.budget === budget) return known.scope;
    const scope = endUserScope(record, budget);
    this.#endUserScopes.set(record, { scope, budget });
    return scope;
  }

  readonly #endUserScopes = new WeakMap<
    Records['endUser'],
    { readonly scope: Scope; readonly budget: Records['budget'] | undefined }
  >();

  /** Fills the memory at start with what changed last, in the place of what a snapshot knew. */
  async preload(): Promise<void> {
    const found: { kind: Kind; rows: KindRow[]; whole: boolean }[] = [];
    for (const kind of kinds) {
      const rows: KindRow[] = [];
      const whole = await this.#inPages(selectOf(kind, ''), 'DESC', 'infinity', preloaded, (row) => rows.push(row));
      found.push({ kind, rows, whole });
    }
    // All at once, when all of it is there. A database that was restored has not what came after its backup.
    this.memory.forget();
    for (const { kind, rows, whole } of found) {
      // The newest last, so that they are the last to go.
      for (const row of rows.toReversed()) this.#learn(row);
      if (whole) this.memory.declareWhole(kind);
    }
  }

  /** Takes over what changed since the last look: revocations, above all. @returns whether anything did. */
  async poll(): Promise<boolean> {
    if (this.#polledAt === undefined) {
      // Nothing was ever read, as after a start from the snapshot: changes since then cannot be told from the rest.
      const [clock] = await this.#query<{ at: Date }>('SELECT clock_timestamp() AS at', []);
      await this.preload();
      this.#polledAt = clock?.at;
      return this.takeChanged();
    }
    // One row comes back even when nothing changed, since it tells the database's clock. Looking back from that clock,
    // and not from the newest change, reads each change for a few seconds only and not for ever.
    const rows = await this.#query<PollRow>(
      `SELECT clock.polled_at, clock.timeline, clock.epoch, changed.kind, changed.row, changed.updated_at::text AS at
         FROM (SELECT clock_timestamp() AS polled_at, ${timelineSql} AS timeline, ${epochSql} AS epoch) AS clock
         LEFT JOIN (SELECT * FROM (${selectChanged('')}) AS mirrored
                     WHERE updated_at > $1::timestamptz - interval '${overlapSeconds} seconds'
                     ORDER BY updated_at LIMIT ${pageRows}) AS changed ON true
        ORDER BY changed.updated_at`,
      [this.#polledAt],
    );
    const { timeline = 0, epoch = 0 } = rows[0] ?? {};
    if (timeline !== 0 && !this.#pool.isCurrent(timeline, epoch)) {
      throw new StoreUnavailable(new Error('a connection leads to a server that was replaced'));
    }
    for (const row of rows) if (row.kind !== null) this.#learn(row);
    const last = rows.at(-1);
    if (rows.length === pageRows && last?.kind != null) {
      await this.#inPages(selectChanged(''), 'ASC', last.at, Number.POSITIVE_INFINITY, (row) => this.#learn(row));
    }
    this.#polledAt = rows[0]?.polled_at;
    return this.takeChanged();
  }

  /**
   * Row by row in the order of change, in pages that no time-out cuts, however much there is. Rows at the border of two
   * pages come twice.
   * @returns whether that was all of it.
   */
  async #inPages(
    select: string,
    order: 'ASC' | 'DESC',
    from: string,
    most: number,
    take: (row: KindRow) => void,
  ): Promise<boolean> {
    let at = from;
    let size = pageRows;
    for (let read = 0; read < most; ) {
      const rows = await this.#query<KindRow>(
        `SELECT kind, row, updated_at::text AS at FROM (${select}) AS mirrored
          WHERE updated_at ${order === 'ASC' ? '>=' : '<='} $1::timestamptz ORDER BY updated_at ${order} LIMIT $2`,
        [at, size],
      );
      for (const row of rows) take(row);
      if (rows.length < size) return true;
      read += rows.length;
      const last = rows.at(-1)?.at ?? at;
      // A page of rows that changed in one moment leads nowhere; a larger one does.
      size = last === at ? size * 2 : pageRows;
      at = last;
    }
    return false;
  }

  /** Whether anything was learned since this was last asked. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  #learn({ kind, row }: Pick<KindRow, 'kind' | 'row'>): void {
    this.learn(kind, toRecord(kind, row));
  }

  /** Takes over a row that was read or written here. */
  learn<K extends Kind>(kind: K, record: Records[K]): void {
    if (!this.memory.learn(kind, record)) return;
    this.#changed = true;
    if (kind === 'key') this.#unknown.delete(idOf[kind](record));
  }

  /** What a restart without a database would need. */
  known(): { readonly content: Content; readonly whole: readonly Kind[] } {
    return { content: this.memory.content(), whole: kinds.filter((kind) => this.memory.isWhole(kind)) };
  }

  /** Whether any administrator key exists. */
  async hasAdmin(): Promise<boolean> {
    const rows = await this.#query(
      `SELECT 1 FROM ${tables.key.table} WHERE role = 'admin' AND deleted_at IS NULL AND NOT blocked
       AND (expires_at IS NULL OR expires_at > clock_timestamp()) LIMIT 1`,
      [],
    );
    return rows.length > 0;
  }

  /** @param timeoutMs when it is not the pool's. */
  async #query<Row extends object>(text: string, values: unknown[], timeoutMs?: number): Promise<Row[]> {
    const limit = timeoutMs === undefined ? {} : { query_timeout: timeoutMs };
    try {
      const { rows } = await this.#pool.query<Row>({ text, values, ...limit });
      this.#breaker.succeeded();
      return rows;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#breaker.failed(error);
      throw new StoreUnavailable(error);
    }
  }
}

function asUnavailable(error: unknown): never {
  throw error instanceof StoreUnavailable ? error : new StoreUnavailable(error);
}
