/** A real PgBouncer in transaction mode in front of a database: on the PATH, or out of Debian's package. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, stopProcess, waitUntilReady } from '../../runbooks/lab/child-process.ts';
import { libraryPath, unpackPackages } from '../../runbooks/lab/debian-packages.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import type { CommandLine } from '../../runbooks/lab/run-command.ts';
import { canRun } from '../../runbooks/lab/run-command.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface PgBouncer {
  /** Of the database behind it. */
  readonly url: string;
  stop(): Promise<void>;
}

const packages = ['pgbouncer', 'libevent-2.1-7', 'libc-ares2'];
const cache = fileURLToPath(new URL(`../../.cache/pgbouncer-${process.arch}`, import.meta.url));

export async function startPgBouncer(databaseUrl: string): Promise<PgBouncer> {
  const behind = new URL(databaseUrl);
  const port = await freePort();
  const directory = await temporaryDirectory();
  const password = behind.password === '' ? '' : ` password=${decodeURIComponent(behind.password)}`;
  const configuration = join(directory, 'pgbouncer.ini');
  await writeFile(
    configuration,
    `[databases]
* = host=${behind.hostname} port=${behind.port} user=${decodeURIComponent(behind.username)}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
server_idle_timeout = 1
`,
  );
  const running = await launch({
    ...(await unprivileged(await commandLine(configuration))),
    logFile: join(directory, 'pgbouncer.log'),
    signalAtParentExit: 'SIGKILL',
  });
  await waitUntilReady(running, { name: 'PgBouncer', isReady: () => accepts(port), timeoutSeconds: 10 });
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    stop: async () => {
      await stopProcess(running, [
        { signal: 'SIGINT', patienceSeconds: 3 },
        { signal: 'SIGKILL', patienceSeconds: 3 },
      ]);
    },
  };
}

async function commandLine(configuration: string): Promise<CommandLine> {
  if (await canRun({ command: 'pgbouncer', args: ['--version'] }))
    return { command: 'pgbouncer', args: [configuration] };
  const program = join(cache, 'usr/sbin/pgbouncer');
  const unpacked = async (): Promise<CommandLine> => ({
    command: 'env',
    args: [`LD_LIBRARY_PATH=${await libraryPath(cache)}`, program],
  });
  const line = await unpacked();
  if (!(await canRun({ ...line, args: [...line.args, '--version'] }))) await fetchInto(cache);
  const { command, args } = await unpacked();
  return { command, args: [...args, configuration] };
}

/** Beside its place first: whoever finds the folder finds all of it. */
async function fetchInto(directory: string): Promise<void> {
  const workshop = `${directory}.unfinished-${process.pid}`;
  try {
    await mkdir(workshop, { recursive: true });
    await unpackPackages(packages, { directory: workshop });
    await rm(directory, { recursive: true, force: true });
    await rename(workshop, directory);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** It refuses to run as root. */
async function unprivileged(line: CommandLine): Promise<CommandLine> {
  if (process.getuid?.() !== 0) return line;
  const namespace = ['-U', '--map-user=1000', '--map-group=1000', '--'];
  return { ...line, command: 'unshare', args: [...namespace, line.command, ...line.args] };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const finish = (accepted: boolean) => () => {
      socket.destroy();
      answer(accepted);
    };
    socket.once('connect', finish(true));
    socket.once('error', finish(false));
    socket.once('timeout', finish(false));
  });
}
