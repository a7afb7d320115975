/** The one place that makes PostgreSQL clients. Every wait is bounded: a hung server must not hang the gateway. */
import { Client, Pool, types } from 'pg';

export type { Pool, PoolClient } from 'pg';

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
  // The pool hears idle connections only. One that breaks between two statements of a transaction has nobody to tell, and
  // would end the process; the next statement fails and says so.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** A single connection for migrations, whose statements may take longer than a request's. */
export async function openConnection(url: string, queryTimeoutSeconds: number): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutSeconds * 1000,
    keepAlive: true,
    application_name: 'holdfast-migrate',
  });
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
