/** pg_restore, which the operator has. It gets the archive by its standard input, and all of it counts or nothing does. */
import { execFile, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

export interface PgRestoreProgram {
  /** `pg_restore`, or what takes its place. */
  readonly command: string;
  /** PATH to find it by, HOME for the certificates that it looks for there. Nothing else: a stray PGOPTIONS would change it. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface RestoreTarget {
  readonly url: string;
  /** By which the server tells this session from others, 63 characters. */
  readonly application: string;
}

const execute = promisify(execFile);
const versionPatienceMs = 20_000;

/** Major version of the program; undefined = there is none that runs. @throws when it does not come to an end. */
export async function pgRestoreMajor(
  { command, environment }: PgRestoreProgram,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const { stdout } = await execute(command, ['--version'], { env: environment, timeout: versionPatienceMs, signal });
    const [, major] = /\s(\d+)/.exec(stdout) ?? [];
    return major === undefined ? undefined : Number(major);
  } catch (error) {
    signal.throwIfAborted();
    const isLate = error instanceof Error && 'killed' in error && error.killed === true;
    if (isLate) {
      const within = `${versionPatienceMs / 1000} s`;
      throw new Error(`${command} --version did not answer within ${within}`, { cause: error });
    }
    return undefined;
  }
}

/**
 * In one transaction, so that a database is whole or empty. Who owns what is decided by who loads it; roles that somebody
 * made by hand would end hours of work at its last statements, so what was granted to them is left out.
 */
const whole = ['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges'];
/** Building an index is silence on the wire for hours, and what stands in between forgets silent connections. */
const awake = '--dbname=keepalives_idle=60 keepalives_interval=15 keepalives_count=8';
const lastWordsBytes = 4_096;

/**
 * Resolves when the database has committed everything. An archive that ends early is refused by the program itself.
 * @throws what kept it from that: why the archive broke off, or the program's last words.
 */
export async function pgRestore(
  { command, environment }: PgRestoreProgram,
  target: RestoreTarget,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(command, [...whole, awake], {
    env: { ...environment, ...connectionOf(target) },
    stdio: ['pipe', 'ignore', 'pipe'],
    // It has the server stop, too, before it ends.
    signal,
    killSignal: 'SIGTERM',
  });
  let lastWords = '';
  child.stderr.on('data', (piece: Buffer) => {
    lastWords = `${lastWords}${piece.toString()}`.slice(-lastWordsBytes);
  });
  const over = new AbortController();
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => over.abort());
  const feeding = pipeline(Readable.from(archive), child.stdin, { signal: AbortSignal.any([signal, over.signal]) });
  const [fed, code] = await Promise.allSettled([feeding, ended]);
  signal.throwIfAborted();
  if (code.status === 'rejected') throw code.reason;
  if (code.value === 0) return;
  if (fed.status === 'rejected' && !isOfTheEnd(fed.reason)) throw fed.reason;
  throw new Error(`pg_restore failed, and left nothing behind: ${lastWords.trim() || `exit code ${code.value}`}`);
}

/** A pipe that nobody reads any more is the consequence of the program's end, and no cause. */
const isOfTheEnd = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  /^(EPIPE|ABORT_ERR|ERR_STREAM_PREMATURE_CLOSE|ERR_STREAM_DESTROYED)$/.test(String(error.code));

/** Settings of node-postgres' URLs that libpq knows, too. */
const tlsVariables = {
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
} as const;

/** As variables: everybody may read the arguments of a process. */
export function connectionOf({ url, application }: RestoreTarget): Record<string, string> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const tls = Object.entries(tlsVariables).flatMap(([name, variable]) => {
    const value = searchParams.get(name);
    // libpq has another word for TLS without a look at the certificate.
    return value === null ? [] : [[variable, value === 'no-verify' ? 'require' : value]];
  });
  return {
    PGHOST: hostname.replaceAll(/^\[|\]$/g, ''),
    PGPORT: port === '' ? '5432' : port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGAPPNAME: application,
    PGCONNECT_TIMEOUT: '10',
    ...Object.fromEntries(tls),
  };
}
