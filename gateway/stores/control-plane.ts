/**
 * The one way in which the control plane is changed: a transaction with its time limits, its audit rows and, for clients
 * that repeat themselves, its answer. Whatever else every such change must pass belongs into `WriteTransaction`.
 */
import { kinds } from '../domain/identity.ts';
import { NotWriter, OutcomeUnknown, StoreUnavailable } from '../domain/keys.ts';
import {
  type Actor,
  type Idempotency,
  IdempotencyConflict,
  type IdentityReader,
  type IdentityWriter,
  type Management,
  RecordConflict,
  type RowKind,
} from '../domain/management.ts';
import { Gate, GateFull } from './gate.ts';
import type { IdentityStore } from './identity.ts';
import { PostgresReader } from './identity-reader.ts';
import { isRow, withoutDetails } from './identity-rows.ts';
import { PostgresWriter } from './identity-writer.ts';
import { isUnavailable, type Pool, type PoolClient } from './postgres.ts';
import { notWriter, onlyRegion, type WriteRight, WriteTransaction } from './write-transaction.ts';

/** Well below the pool's own time-out, so that the server gives up first and says why. */
const beginReading = `BEGIN READ ONLY; SET LOCAL statement_timeout = '4s'`;
/** Management takes so many of the pool's connections, and so many requests wait for one. */
const workAtOnce = 4;
const workWaiting = 200;
const longestRetries = 3;
const answersKeptHours = 24;

export class ControlPlane implements Management {
  readonly #pool: Pool;
  readonly #store: IdentityStore;
  readonly #gate = new Gate(workAtOnce, workWaiting);

  /** What this process believes of the right to write. */
  right: WriteRight;
  readonly #now: () => number;

  /**
   * @param store takes over at once what is changed here.
   * @param now monotonic, milliseconds.
   */
  constructor(pool: Pool, store: IdentityStore, right: WriteRight = onlyRegion, now = () => performance.now()) {
    this.#pool = pool;
    this.#store = store;
    this.right = right;
    this.#now = now;
  }

  read<T>(work: (reader: IdentityReader) => Promise<T>): Promise<T> {
    return this.#throughGate(() =>
      this.#withClient(async (client) => {
        await client.query(beginReading);
        const result = await work(new PostgresReader(client));
        await client.query('COMMIT');
        return result;
      }),
    );
  }

  async write(
    actor: Actor,
    work: (writer: IdentityWriter) => Promise<object>,
    idempotency?: Idempotency,
  ): Promise<{ answer: unknown; replayed: boolean }> {
    return this.#throughGate(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#writeOnce(actor, work, idempotency);
        } catch (error) {
          // The belief was out of date; with a newer one it may pass, and nothing was changed.
          if (error instanceof NotWriter) {
            await this.right.refused();
            if (attempt === 1 && error.reason === 'another-epoch' && this.right.epoch() !== undefined) continue;
          }
          // Two that locked each other out: one of them is asked to come again, and nobody needs to know.
          if (attempt >= longestRetries || !isCollision(error)) throw error;
        }
      }
    });
  }

  async #writeOnce(
    actor: Actor,
    work: (writer: IdentityWriter) => Promise<object>,
    idempotency: Idempotency | undefined,
  ): Promise<{ answer: unknown; replayed: boolean }> {
    const changed: { kind: RowKind; row: object }[] = [];
    const result = await this.#withClient(async (client) => {
      const transaction = new WriteTransaction(this.#pool, client, this.right, this.#now);
      await transaction.begin();
      const done = await this.#change(client, actor, work, idempotency, changed);
      await transaction.commit();
      return done;
    });
    // Only now: what was rolled back must not be known.
    for (const { kind, row } of changed) this.#learn(kind, row);
    return result;
  }

  async #change(
    client: PoolClient,
    actor: Actor,
    work: (writer: IdentityWriter) => Promise<object>,
    idempotency: Idempotency | undefined,
    changed: { kind: RowKind; row: object }[],
  ): Promise<{ answer: unknown; replayed: boolean }> {
    if (idempotency !== undefined) {
      const known = await recall(client, actor, idempotency);
      if (known !== undefined) return { answer: known.answer, replayed: true };
    }
    const writer = new PostgresWriter(client, actor, (kind, row) => changed.push({ kind, row }));
    const answer = await work(writer);
    await writer.finish();
    if (idempotency !== undefined) await keep(client, actor, idempotency, answer);
    return { answer, replayed: false };
  }

  #learn(kind: RowKind, row: object): void {
    const mirrored = kinds.find((one) => one === kind);
    if (mirrored === undefined) return;
    const record = withoutDetails(row);
    if (isRow(mirrored, record)) this.#store.learn(mirrored, record);
  }

  async #throughGate<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#gate.through(work);
    } catch (error) {
      if (error instanceof GateFull) throw new StoreUnavailable(error);
      // Its words are those of a lost connection, and it says more.
      if (error instanceof OutcomeUnknown) throw error;
      const refused = notWriter(error);
      if (refused !== undefined) throw refused;
      const code = codeOf(error);
      // Somebody else holds what this needs.
      if (code === '55P03') throw new StoreUnavailable(error);
      if (/^2[23]/.test(code)) throw new RecordConflict(constraintOf(error), error);
      throw isUnavailable(error) ? new StoreUnavailable(error) : error;
    }
  }

  /** What fails in it is rolled back. */
  async #withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      return await work(client);
    } catch (error) {
      broken = await rollBack(client, error);
      throw error;
    } finally {
      // A connection whose state nobody knows is not used again.
      client.release(broken);
    }
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

/** The answer that was given before; another process that is about to give it is waited for. */
async function recall(
  client: PoolClient,
  actor: Actor,
  { key, requestHash, open }: Idempotency,
): Promise<{ answer: unknown } | undefined> {
  await client.query(
    `DELETE FROM idempotent_answer WHERE ctid IN (SELECT ctid FROM idempotent_answer
       WHERE created_at < clock_timestamp() - interval '${answersKeptHours} hours'
       ORDER BY caller_hash = $1 AND key = $2 DESC LIMIT 100 FOR UPDATE SKIP LOCKED)`,
    [actor.keyHash, key],
  );
  const { rowCount } = await client.query(
    `INSERT INTO idempotent_answer (caller_hash, key, request_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [actor.keyHash, key, requestHash],
  );
  if (rowCount === 1) return undefined;
  const { rows } = await client.query<{ request_hash: string; answer: Buffer | null }>(
    'SELECT request_hash, answer FROM idempotent_answer WHERE caller_hash = $1 AND key = $2',
    [actor.keyHash, key],
  );
  const [known] = rows;
  if (known === undefined || known.request_hash !== requestHash || known.answer === null)
    throw new IdempotencyConflict();
  return { answer: JSON.parse(open(known.answer)) };
}

async function keep(client: PoolClient, actor: Actor, { key, seal }: Idempotency, answer: object): Promise<void> {
  await client.query('UPDATE idempotent_answer SET answer = $3 WHERE caller_hash = $1 AND key = $2', [
    actor.keyHash,
    key,
    seal(JSON.stringify(answer)),
  ]);
}

/** A deadlock, or a serialization failure. */
const isCollision = (error: unknown): boolean => ['40P01', '40001'].includes(codeOf(error));

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const constraintOf = (error: unknown): string =>
  error instanceof Error && 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : 'a rule';

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
