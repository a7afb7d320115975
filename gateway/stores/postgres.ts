/** The one place that makes PostgreSQL clients. Every wait is bounded: a hung server must not hang the gateway. */
import { Client, Pool as DriverPool, type PoolClient, type PoolConfig, types } from 'pg';

export type { Client, PoolClient } from 'pg';

/** `int8` as bigint: money does not fit a double. */
types.setTypeParser(types.builtins.INT8, BigInt);

export interface PostgresOptions {
  readonly url: string;
  readonly poolSize: number;
  /** Told when an idle connection breaks; the pool replaces it by itself. */
  readonly onError: (error: Error) => void;
}

const connectTimeoutMs = 2_000;
const queryTimeoutMs = 5_000;
const idleTimeoutMs = 30_000;

/** A process that has seen a newer timeline believes no older one for so long; after that, somebody has put a new server there. */
const timelineKeptMs = 60_000;

type Connected = (error: Error | undefined, client: PoolClient | undefined, release: PoolClient['release']) => void;

/**
 * Connections that can be told to be of the past. After a failover, sockets to the old server may stay open, and the old
 * server may wake up behind them: nothing is asked over a connection from before the last sign of that.
 */
export class Pool extends DriverPool {
  /** Counts signs of a failover. A connection is used while it is of the newest count only. */
  #generation = 0;
  readonly #bornIn = new WeakMap<PoolClient, number>();
  #timeline = 0;
  #timelineAtMs = 0;
  /** The newest that any server has shown. */
  #epoch = 0;
  /** Of the restored database that took the place of another one; servers of an older epoch are of the past. 0 = none has. */
  #restoredEpoch = 0;
  /** Of the server of an older timeline that was seen last; 0 = the last one was current. */
  #doubtedEpoch = 0;

  constructor(config: PoolConfig) {
    super(config);
    this.on('connect', (client) => {
      this.#bornIn.set(client, this.#generation);
      // The pool hears idle connections only. One that breaks between two statements of a transaction has nobody to tell,
      // and would end the process; the next statement fails and says so.
      client.on('error', () => undefined);
    });
    this.on('error', () => this.dropConnections());
    this.on('release', (error) => {
      if (isUnavailable(error)) this.dropConnections();
    });
  }

  /** Connections that are open now are not used again. What runs on them runs to its end. */
  dropConnections(): void {
    this.#generation++;
  }

  /**
   * What a connection says of its server. @returns false when another connection has shown a newer timeline: a standby was
   * promoted, and this one leads to the server before it. A restored database may stand in a cluster that counts timelines
   * anew: it is of a newer epoch than anything before it, and believed when a connection that was made since leads to it, too.
   * @param epoch of the region's row there.
   */
  isCurrent(timeline: number, epoch: number): boolean {
    const now = performance.now();
    const isRestored = epoch > this.#epoch && epoch === this.#doubtedEpoch;
    const isForgotten = now - this.#timelineAtMs > timelineKeptMs;
    if (isRestored) this.#restoredEpoch = epoch;
    else if (isForgotten) this.#restoredEpoch = 0;
    if (isRestored || isForgotten || (timeline >= this.#timeline && epoch >= this.#restoredEpoch)) {
      if (timeline !== this.#timeline && this.#timeline !== 0) this.dropConnections();
      this.#timeline = timeline;
      this.#timelineAtMs = now;
      this.#epoch = Math.max(this.#epoch, epoch);
      this.#doubtedEpoch = 0;
      return true;
    }
    this.#doubtedEpoch = epoch;
    this.dropConnections();
    return false;
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<PoolClient> | undefined {
    const connected = this.#connectNow();
    if (callback === undefined) return connected;
    void answer(connected, callback);
    return undefined;
  }

  async #connectNow(): Promise<PoolClient> {
    for (;;) {
      const client = await super.connect();
      if (this.#bornIn.get(client) === this.#generation) return client;
      client.release(true);
    }
  }
}

/** The driver's own way of asking. */
async function answer(connected: Promise<PoolClient>, callback: Connected): Promise<void> {
  let client: PoolClient;
  try {
    client = await connected;
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), undefined, () => undefined);
    return;
  }
  callback(undefined, client, (error) => client.release(error));
}

/** Of a primary, by its log of changes; 0 = a replica, which writes none. */
export const timelineSql = `CASE WHEN pg_is_in_recovery() THEN 0
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END`;

/** Of the region's row; as a double, which holds every epoch that can be reached. */
export const epochSql = '(SELECT coalesce(max(epoch), 0)::float8 FROM region_epoch)';

export function openPool(options: PostgresOptions): Pool {
  const pool = new Pool({
    connectionString: options.url,
    max: options.poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    // On the client's side, so that PgBouncer in transaction mode and a frozen server are covered too.
    query_timeout: queryTimeoutMs,
    idleTimeoutMillis: idleTimeoutMs,
    keepAlive: true,
    application_name: 'holdfast',
  });
  pool.on('error', options.onError);
  // One that breaks while a transaction holds it tells nobody but its listeners, and without any the process would end.
  pool.on('connect', (client) => client.on('error', options.onError));
  return pool;
}

/** A single connection: for migrations, whose statements may take longer than a request's, and for LISTEN. */
export async function openConnection(
  url: string,
  queryTimeoutSeconds: number,
  name = 'holdfast-migrate',
): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutSeconds * 1000,
    keepAlive: true,
    application_name: name,
  });
  // The statement under way fails with it; this only keeps it from ending the process before that is told.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Host and database of a URL for messages; never the password. */
export function describeUrl(url: string): string {
  if (!URL.canParse(url)) return 'the database';
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port === '' ? '5432' : port}${pathname}`;
}

/** Errors that say "not now" and not "never": the connection, not the statement, is at fault. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (code === '') return /timeout|terminated|connection/i.test(error.message);
  // Class 08 connection, 28 login, 3D database, 53 resources, 57 operator intervention; 25006 is a server that has become
  // a replica, 25P03 and 25P04 one that ended a transaction for being too long; the rest are the system's own names.
  return /^(08|28|3D|53|57)/.test(code) || /^25(006|P03|P04)$/.test(code) || /^E(?!RR_)[A-Z_]+$/.test(code);
}

/**
 * Errors that a repetition cannot mend because the values are at fault: class 22 data, 23 constraints, and what fails
 * before it is sent. Everything else (a missing table, a deadlock, no permission) is mended on the server's side.
 */
export function isRefusedValue(error: unknown): boolean {
  const code = codeOf(error);
  return code === '' ? !isUnavailable(error) : /^(22|23)/.test(code);
}

/** Class 54: what one value makes of the statement is beyond what PostgreSQL can do, for example a key of an index. */
export const isImpossibleStatement = (error: unknown): boolean => codeOf(error).startsWith('54');

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
