/** A real Redis on loopback: for tests, for the lab, and for a first start. It keeps nothing unless `args` say so. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Certificate } from './certificate.ts';
import { aborted, type Exit, launch, type RunningProcess, stopProcess, waitUntilReady } from './child-process.ts';
import { portTaken, requirePortFree } from './free-port.ts';
import { LauncherError } from './launcher-error.ts';
import { findRedis, type RedisBinaries } from './redis-binaries.ts';

export interface RedisOptions {
  readonly port: number;
  readonly host?: string;
  /** Working folder with log and dumps; a temporary one, removed at the end, if not given. */
  readonly directory?: string;
  /** Further options, which win over ours, for example `['--maxmemory', '64mb']`. */
  readonly args?: readonly string[];
  readonly password?: string;
  /** Speak TLS only, with this certificate. Clients are not asked for theirs. */
  readonly tls?: Certificate;
  readonly binaries?: RedisBinaries;
  readonly signal?: AbortSignal;
  readonly startTimeoutSeconds?: number;
}

/** A Redis that answers. It ends with `stop`, or when this process exits. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  stop(timeoutSeconds?: number): Promise<void>;
  /** Faults for tests: SIGKILL for a crash, SIGSTOP for a hang that no connection notices. */
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

/**
 * Starts Redis and waits until it answers PING.
 * @throws LauncherError saying what to do; nothing is left running.
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const { port, host = '127.0.0.1', password, signal } = options;
  const binaries = options.binaries ?? (await findRedis({ signal }));
  await requirePortFree(host, port);
  const temporary = options.directory === undefined ? await mkdtemp(join(tmpdir(), 'holdfast-redis-')) : undefined;
  const directory = resolve(options.directory ?? temporary ?? '.');
  await mkdir(directory, { recursive: true });
  if (options.tls !== undefined) {
    await writeFile(join(directory, 'certificate.pem'), options.tls.certificate);
    await writeFile(join(directory, 'key.pem'), options.tls.privateKey, { mode: 0o600 });
  }
  const removeTemporary = async (): Promise<void> => {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  try {
    const running = await launch({
      // The dash, which means standard input, must be the last argument.
      ...binaries.command('redis-server', [...(options.args ?? []), '-']),
      logFile: join(directory, 'redis.log'),
      directory,
      input: configuration({ ...options, host }),
      signalAtParentExit: 'SIGKILL',
    });
    await untilReady(running, options, host);
    const scheme = options.tls === undefined ? 'redis' : 'rediss';
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    return {
      url: `${scheme}://${login}${host}:${port}`,
      port,
      pid: running.pid,
      exited: running.exited,
      kill: (name) => running.kill(name),
      stop: async (timeoutSeconds = 10) => {
        await stopRedis(running, timeoutSeconds);
        await removeTemporary();
      },
    };
  } catch (error) {
    await removeTemporary();
    if (signal?.aborted && !(error instanceof LauncherError)) throw aborted('Redis', signal);
    throw error;
  }
}

/** Redis reads this from standard input, so that the password never shows in the process list. */
function configuration(options: RedisOptions & { readonly host: string }): string {
  const directives: Record<string, string> = {
    bind: options.host,
    ...(options.tls === undefined
      ? { port: String(options.port) }
      : {
          port: '0',
          'tls-port': String(options.port),
          'tls-cert-file': 'certificate.pem',
          'tls-key-file': 'key.pem',
          'tls-ca-cert-file': 'certificate.pem',
          'tls-auth-clients': 'no',
        }),
    'protected-mode': 'yes',
    daemonize: 'no',
    save: '""',
    appendonly: 'no',
    ...(options.password === undefined ? {} : { requirepass: quoted(options.password) }),
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

async function untilReady(running: RunningProcess, options: RedisOptions, host: string): Promise<void> {
  try {
    await waitUntilReady(running, {
      name: 'Redis',
      isReady: () => answersPing(host, options),
      timeoutSeconds: options.startTimeoutSeconds ?? 20,
      signal: options.signal,
    });
  } catch (error) {
    await stopRedis(running, 2);
    if ((await running.lastLines()).includes('Address already in use')) throw portTaken(host, options.port, error);
    throw error;
  }
}

async function stopRedis(running: RunningProcess, timeoutSeconds: number): Promise<void> {
  await stopProcess(running, [
    { signal: 'SIGTERM', patienceSeconds: timeoutSeconds },
    { signal: 'SIGKILL', patienceSeconds: 5 },
  ]);
}

/** One PING over a connection of its own, at most two seconds. */
function answersPing(host: string, { port, password, tls }: RedisOptions): Promise<boolean> {
  return new Promise((answer) => {
    const socket =
      tls === undefined
        ? connect({ host, port, timeout: 2000 })
        : connectTls({ host, port, timeout: 2000, ca: tls.certificate });
    let reply = '';
    const finish = (answered: boolean): void => {
      socket.destroy();
      answer(answered);
    };
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
    socket.once('close', () => finish(false));
    socket.on('data', (data) => {
      reply += data.toString('latin1');
      if (reply.includes('+PONG\r\n')) finish(true);
      else if (reply.includes('-')) finish(false);
    });
    // The protocol's array form, since a password may hold spaces.
    if (password !== undefined) socket.write(command('AUTH', password));
    socket.write(command('PING'));
  });
}

const command = (...words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
