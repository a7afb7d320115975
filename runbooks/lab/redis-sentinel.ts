/** One Redis primary, two replicas and three Sentinels on loopback, which elect a new primary within about two seconds. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch, type RunningProcess, stopProcess } from './child-process.ts';
import { freePort } from './free-port.ts';
import { LauncherError } from './launcher-error.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { findRedis, type RedisBinaries } from './redis-binaries.ts';
import { runCommand } from './run-command.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisSentinelSet {
  /** What the Sentinels call the set: `service_name`. */
  readonly name: string;
  readonly sentinels: readonly RedisAddress[];
  /** Primary first, as they were started; a failover changes roles, not this order. */
  readonly servers: readonly RedisServer[];
  /** Who the Sentinels say is primary now. @throws when none of the three answers. */
  primary(): Promise<RedisServer>;
  stop(): Promise<void>;
}

export interface RedisSetOptions {
  readonly password?: string;
  readonly startTimeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

const host = '127.0.0.1';
const name = 'holdfast';
const quorum = 2;
/** A primary that says nothing for so long is down. */
const downAfterMs = 1_000;

/** @throws LauncherError; nothing is left running. */
export async function startRedisSentinels(options: RedisSetOptions = {}): Promise<RedisSentinelSet> {
  const { password, signal } = options;
  const deadline = Date.now() + (options.startTimeoutSeconds ?? 30) * 1000;
  const binaries = await findRedis({ signal });
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-sentinel-'));
  const servers: RedisServer[] = [];
  const sentinels: { readonly port: number; readonly running: RunningProcess }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all([
      ...sentinels.map(({ running }) => stopProcess(running, [{ signal: 'SIGKILL', patienceSeconds: 5 }])),
      ...servers.map((server) => end(server)),
    ]);
    await rm(directory, { recursive: true, force: true });
  };
  const auth = password === undefined ? [] : ['--masterauth', password];
  const startServer = async (...args: readonly string[]): Promise<void> => {
    // The first full copy starts at once, and not after waiting for more replicas.
    const common = ['--repl-diskless-sync-delay', '0', ...auth, ...args];
    servers.push(
      await startRedis({
        port: await freePort(),
        args: common,
        binaries,
        ...(password === undefined ? {} : { password }),
      }),
    );
  };
  try {
    await startServer();
    const [first] = servers;
    if (first === undefined) throw new LauncherError('StartFailed', 'No primary.');
    for (let replica = 0; replica < 2; replica++) await startServer('--replicaof', `${host} ${first.port}`);
    // A Sentinel finds the replicas with its first look at the primary; the second look is ten seconds later.
    await untilEach(servers.slice(1), deadline, signal, async ({ port }) =>
      (await ask(binaries, port, password, 'INFO', 'replication')).includes('master_link_status:up'),
    );
    for (let index = 0; index < 3; index++) {
      const home = join(directory, String(index));
      sentinels.push(await startSentinel(binaries, home, first.port, password));
    }
    await untilEach(sentinels, deadline, signal, async ({ port }) => {
      const state = await ask(binaries, port, undefined, 'SENTINEL', 'CKQUORUM', name);
      const known = await ask(binaries, port, undefined, 'SENTINEL', 'MASTER', name);
      return state.startsWith('OK 3 ') && /num-slaves\n2\n/.test(known);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host, port })),
    servers,
    stop,
    primary: async () => {
      for (const { port } of sentinels) {
        const answer = await ask(binaries, port, undefined, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
        const found = servers.find((server) => answer.split('\n').includes(String(server.port)));
        if (found !== undefined) return found;
      }
      throw new LauncherError('StartFailed', 'No Sentinel names a primary.');
    },
  };
}

async function startSentinel(
  binaries: RedisBinaries,
  directory: string,
  primaryPort: number,
  password: string | undefined,
): Promise<{ readonly port: number; readonly running: RunningProcess }> {
  const port = await freePort();
  await mkdir(directory, { recursive: true });
  // Sentinels rewrite their file, so it cannot come from standard input.
  const lines = [
    `bind ${host}`,
    `port ${port}`,
    `dir ${directory}`,
    `sentinel monitor ${name} ${host} ${primaryPort} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} 3000`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${name} ${password}`]),
  ];
  await writeFile(join(directory, 'sentinel.conf'), `${lines.join('\n')}\n`, { mode: 0o600 });
  const running = await launch({
    ...binaries.command('redis-sentinel', [join(directory, 'sentinel.conf')]),
    logFile: join(directory, 'sentinel.log'),
    directory,
    signalAtParentExit: 'SIGKILL',
  });
  return { port, running };
}

/** SIGKILL, since a server may be stopped (SIGSTOP) by a test and nothing is worth saving. */
export async function end(server: RedisServer): Promise<void> {
  server.kill('SIGKILL');
  await server.exited;
  await server.stop();
}

/** One command through redis-cli; its errors are part of the answer, an unreachable server is an empty one. */
export async function ask(
  binaries: RedisBinaries,
  port: number,
  password: string | undefined,
  ...words: readonly string[]
): Promise<string> {
  const line = binaries.command('redis-cli', [...login(password), '-h', host, '-p', String(port), ...words]);
  return runCommand(line, { timeoutSeconds: 5 }).catch(() => '');
}

/** Seen in the process list for a moment: passwords of a lab protect nothing. */
export const login = (password: string | undefined): readonly string[] =>
  password === undefined ? [] : ['--no-auth-warning', '-a', password];

/** Asks each one until all have said yes. @throws LauncherError `StartFailed` after the deadline. */
export async function untilEach<T>(
  servers: readonly T[],
  deadlineMs: number,
  signal: AbortSignal | undefined,
  isReady: (server: T) => Promise<boolean>,
): Promise<void> {
  for (const server of servers) {
    while (!(await isReady(server))) {
      if (signal?.aborted) throw new LauncherError('Aborted', 'The start of Redis was called off.', signal.reason);
      if (Date.now() > deadlineMs) throw new LauncherError('StartFailed', 'The Redis servers did not find each other.');
      await sleep(50);
    }
  }
}
