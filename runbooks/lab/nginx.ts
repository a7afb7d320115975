/** A real nginx on loopback in front of gateways, with the settings of `gateway/deploy/nginx.conf`. Needs no root. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Exit, launch, type RunningProcess, stopProcess, waitUntilReady } from './child-process.ts';
import { portTaken, requirePortFree } from './free-port.ts';
import { LauncherError } from './launcher-error.ts';
import { findNginx, type NginxCommand } from './nginx-binaries.ts';
import { runCommand } from './run-command.ts';

export interface NginxOptions {
  readonly port: number;
  readonly host?: string;
  /** `host:port` of each gateway. */
  readonly upstreams: readonly string[];
  readonly command?: NginxCommand;
  readonly startTimeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

/** It listens. It ends with `stop`, or when this process exits. */
export interface NginxServer {
  readonly url: string;
  readonly port: number;
  /** Of the master process. */
  readonly pid: number;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** Other gateways for all requests that begin after this, without losing one that runs. @throws when nginx refuses the configuration; the old one stays. */
  reload(upstreams: readonly string[]): Promise<void>;
  /** Everything it reported. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

const shipped = fileURLToPath(new URL('../../gateway/deploy/nginx.conf', import.meta.url));

/**
 * Starts nginx and waits until it listens.
 * @throws LauncherError saying what to do; nothing is left running.
 */
export async function startNginx(options: NginxOptions): Promise<NginxServer> {
  const { port, host = '127.0.0.1', signal } = options;
  const command = options.command ?? (await findNginx({ signal }));
  await requirePortFree(host, port);
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-nginx-'));
  const path = join(directory, 'nginx.conf');
  const logFile = join(directory, 'nginx.log');
  const write = async (upstreams: readonly string[], into = path): Promise<void> => {
    await writeFile(into, nginxConfiguration(await readFile(shipped, 'utf8'), `${host}:${port}`, upstreams));
  };
  const args = (file: string): string[] => ['-p', directory, '-e', 'stderr', '-c', file];
  try {
    await write(options.upstreams);
    const running = await launch({
      ...command([...args(path), '-g', 'daemon off;']),
      logFile,
      directory,
      // The master takes its workers with it; killed, it would leave them.
      signalAtParentExit: 'SIGTERM',
    });
    await untilReady(running, options, host);
    return {
      url: `http://${host}:${port}`,
      port,
      pid: running.pid,
      exited: running.exited,
      kill: (name) => running.kill(name),
      log: () => readFile(logFile, 'utf8'),
      reload: async (upstreams) => {
        const next = join(directory, 'next.conf');
        await write(upstreams, next);
        await runCommand(command(['-t', ...args(next)]), { timeoutSeconds: 10, signal });
        const before = await generationsIn(logFile);
        await write(upstreams);
        running.kill('SIGHUP');
        await until(async () => (await generationsIn(logFile)) > before);
      },
      stop: async () => {
        await stopNginx(running);
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** The shipped file with other gateways and another place to listen. Pure. */
export function nginxConfiguration(text: string, listen: string, upstreams: readonly string[]): string {
  const [first, ...others] = text.match(/^ *server \S+:\d+ .*;\n/gm) ?? [];
  if (first === undefined || upstreams.length === 0) throw new LauncherError('BadOption', 'nginx needs a gateway.');
  const servers = upstreams.map((upstream) => first.replace(/server \S+/, `server ${upstream}`)).join('');
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `${user}${others.reduce((rest, other) => rest.replace(other, ''), text)}`
    .replace(first, servers)
    .replace(/listen \d+;/, `listen ${listen};`)
    .replace('worker_processes auto;', 'worker_processes 1;');
}

/** How often workers were told to leave: once for each reload that is done. */
const generationsIn = async (logFile: string): Promise<number> =>
  [...(await readFile(logFile, 'utf8')).matchAll(/: gracefully shutting down/g)].length;

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end)
      throw new LauncherError('StartFailed', 'nginx did not take the configuration in 10 s.');
    await sleep(10);
  }
}

async function untilReady(running: RunningProcess, options: NginxOptions, host: string): Promise<void> {
  try {
    await waitUntilReady(running, {
      name: 'nginx',
      isReady: () => accepts(host, options.port),
      timeoutSeconds: options.startTimeoutSeconds ?? 10,
      signal: options.signal,
    });
  } catch (error) {
    await stopNginx(running);
    if ((await running.lastLines()).includes('Address already in use')) throw portTaken(host, options.port, error);
    throw error;
  }
}

const stopNginx = (running: RunningProcess): Promise<Exit> =>
  stopProcess(running, [
    { signal: 'SIGTERM', patienceSeconds: 5 },
    { signal: 'SIGKILL', patienceSeconds: 5 },
  ]);

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const finish = (accepted: boolean) => () => {
      socket.destroy();
      answer(accepted);
    };
    socket.once('connect', finish(true));
    socket.once('error', finish(false));
    socket.once('timeout', finish(false));
  });
}
