/** Real PostgreSQL from an npm package: for tests, for the two-region lab, and for a first start without a database. */
import { readFileSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { aborted, type Exit, launch, type RunningProcess, stopProcess, waitUntilReady } from './child-process.ts';
import { hasCode, messageOf } from './error-code.ts';
import { type FolderOwner, ownFolder } from './folder-owner.ts';
import { portTaken, requirePortFree } from './free-port.ts';
import { LauncherError } from './launcher-error.ts';
import { chooseRunAs, findPostgres, type RunAs } from './postgres-binaries.ts';
import { postgresUser, prepareDataFolder } from './postgres-data-folder.ts';
import { clearOrphan } from './postgres-orphan.ts';
import type { CommandLine } from './run-command.ts';

export interface PostgresOptions {
  /** Made when absent or empty. Beside it lie `.lock`, `.owner` and, unless `logFile` says otherwise, `.log`. */
  readonly dataDirectory: string;
  readonly port: number;
  /** A loopback address: the cluster admits no others, unless it stands in a namespace whose network `enter` enters. */
  readonly host?: string;
  /** Wraps the server's command line, to run it in a network namespace. */
  readonly enter?: (line: CommandLine) => CommandLine;
  /** Server settings, for example `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Folder with `initdb` and `postgres` of an older version, for a new cluster; the npm package's if not given. */
  readonly binaries?: string;
  /** For a new cluster; an existing one remembers its own. */
  readonly password?: string;
  readonly logFile?: string;
  /** Calls the start off. It does not stop a server that has started. */
  readonly signal?: AbortSignal;
  /** Crash recovery counts in. */
  readonly startTimeoutSeconds?: number;
}

/** A PostgreSQL that answers. It ends with `stop`, or when this process exits. */
export interface PostgresServer {
  /** Connection string of a database; `postgres` if none is named. It holds the password. */
  url(database?: string): string;
  readonly port: number;
  /** The postmaster's pid. */
  readonly pid: number;
  /** `fast` breaks connections and writes everything out; `immediate` leaves recovery to the next start. */
  stop(mode?: 'fast' | 'immediate', timeoutSeconds?: number): Promise<void>;
  /**
   * Sends a signal to the postmaster: faults for tests. SIGKILL takes its processes with it, since one that is left
   * may answer for some milliseconds more, and a machine that is lost answers nothing.
   */
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

/**
 * Starts PostgreSQL on a data folder, or a hot standby if the folder says so, and waits until it answers queries.
 * @throws LauncherError saying what to do; nothing is left running.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { signal, host = '127.0.0.1' } = options;
  if (options.enter === undefined && !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)) {
    throw new LauncherError('BadOption', `PostgreSQL listens on loopback only; "${host}" is none. Leave host out.`);
  }
  const binaries = options.binaries ?? (await findPostgres());
  const dataDirectory = await canonical(options.dataDirectory);
  const owner = ownFolder(dataDirectory);
  try {
    const runAs = await chooseRunAs(signal);
    await clearOrphan(dataDirectory, signal);
    const volatile = options.settings?.fsync === 'off';
    const folder = {
      dataDirectory,
      binaries,
      runAs,
      password: options.password,
      volatile,
      old: options.binaries !== undefined,
      signal,
    };
    const password = await prepareDataFolder(folder);
    await requirePortFree(host, options.port);
    return await runOnceFree({ ...options, host, dataDirectory }, { binaries, runAs, password, owner });
  } catch (error) {
    owner.release();
    if (signal?.aborted && !(error instanceof LauncherError)) throw aborted('PostgreSQL', signal);
    throw error;
  }
}

interface Prepared {
  readonly binaries: string;
  readonly runAs: RunAs;
  readonly password: string;
  readonly owner: FolderOwner;
}

type RunOptions = Omit<PostgresOptions, 'binaries'> & { readonly host: string };

/** Where survivors of a crash cannot be found, PostgreSQL tells of them; they end by themselves, so it is tried again. */
async function runOnceFree(options: RunOptions, prepared: Prepared): Promise<PostgresServer> {
  const until = Date.now() + startSeconds(options) * 1000;
  for (;;) {
    try {
      return await run(options, prepared);
    } catch (error) {
      const occupied = messageOf(error).includes('pre-existing shared memory block');
      if (!occupied || Date.now() > until) throw error;
      await sleep(200, undefined, { signal: options.signal });
    }
  }
}

const startSeconds = (options: RunOptions): number => options.startTimeoutSeconds ?? 60;

async function run(options: RunOptions, prepared: Prepared): Promise<PostgresServer> {
  const { host, port, dataDirectory, signal } = options;
  const logFile = options.logFile ?? `${dataDirectory}.log`;
  await mkdir(dirname(resolve(logFile)), { recursive: true });
  const settings = { listen_addresses: host, port: String(port), unix_socket_directories: '', ...options.settings };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const plain = prepared.runAs.command(join(prepared.binaries, 'postgres'), ['-D', dataDirectory, ...args]);
  const line = options.enter?.(plain) ?? plain;
  const running = await launch({ ...line, logFile, signalAtParentExit: 'SIGINT' });
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const url = (database = 'postgres'): string =>
    `postgres://${postgresUser}:${encodeURIComponent(prepared.password)}@${authority}/${encodeURIComponent(database)}`;
  try {
    const timeoutSeconds = startSeconds(options);
    await waitUntilReady(running, { name: 'PostgreSQL', isReady: () => answers(url()), timeoutSeconds, signal });
  } catch (error) {
    await stopPostgres(running, 'immediate', 10);
    if ((await running.lastLines()).includes('could not bind')) throw portTaken(host, port, error);
    throw error;
  }
  void running.exited.then(() => prepared.owner.release());
  return {
    url,
    port,
    pid: running.pid,
    stop: (mode = 'fast', timeoutSeconds = 30) => stopPostgres(running, mode, timeoutSeconds),
    kill: (name) => {
      const backends = name === 'SIGKILL' && !running.gone.aborted ? childrenOf(running.pid) : [];
      running.kill(name);
      for (const pid of backends) endNow(pid);
    },
    exited: running.exited,
  };
}

/** None where the kernel does not tell them: they end by themselves, a moment later. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

async function stopPostgres(running: RunningProcess, mode: 'fast' | 'immediate', seconds: number): Promise<void> {
  await stopProcess(running, [
    { signal: mode === 'fast' ? 'SIGINT' : 'SIGQUIT', patienceSeconds: seconds },
    { signal: 'SIGQUIT', patienceSeconds: 5 },
    { signal: 'SIGKILL', patienceSeconds: 5 },
  ]);
}

/** True once it answers a query; a hot standby does too. A wrong password never mends itself, so it is thrown. */
async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, ssl: false, connectionTimeoutMillis: 2000, query_timeout: 2000 });
  // A server that goes away in mid-question also emits an error; the query's rejection already tells it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch (error) {
    if (error instanceof DatabaseError && error.code?.startsWith('28')) {
      throw new LauncherError('WrongPassword', `PostgreSQL refused user ${postgresUser}: ${error.message}.`, error);
    }
    return false;
  } finally {
    await client.end();
  }
}

/** The folder's real path, since PostgreSQL and /proc know it by that; its parent is made if need be. */
async function canonical(dataDirectory: string): Promise<string> {
  const full = resolve(dataDirectory);
  await mkdir(dirname(full), { recursive: true });
  return join(await realpath(dirname(full)), basename(full));
}
