/** A gateway as a process of its own, as a region of the lab has several. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exit, launch, stopProcess, waitUntilReady } from './child-process.ts';
import type { CommandLine } from './run-command.ts';

export interface LabGatewayOptions {
  readonly port: number;
  readonly configPath: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly signal?: AbortSignal;
  /** Folder of the Holdfast that it runs; this one if not given. */
  readonly image?: string;
  readonly host?: string;
  /** Wraps the command line, to run it in a network namespace. */
  readonly enter?: (line: CommandLine) => CommandLine;
}

export interface LabGateway {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<Exit>;
}

/** Without a slash at its end. */
export const thisCheckout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const entryOf = (image: string): string => join(image, 'bin/holdfast.ts');

/** @throws LauncherError when it does not become ready; nothing is left running. */
export async function startLabGateway(options: LabGatewayOptions): Promise<LabGateway> {
  const { port, configPath, logFile, image = thisCheckout, host = '127.0.0.1' } = options;
  const line: CommandLine = {
    command: process.execPath,
    args: [entryOf(image), 'gateway', '--config', configPath, '--port', String(port), '--workers', '1'],
    environment: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOST: host,
      HOLDFAST_DRAIN_NOTICE_SECONDS: '0',
      ...options.environment,
    },
  };
  const running = await launch({
    ...(options.enter?.(line) ?? line),
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  const url = `http://${host}:${port}`;
  try {
    await waitUntilReady(running, {
      name: `the gateway at ${url}`,
      isReady: () => answers(`${url}/health/ready`),
      timeoutSeconds: 30,
      signal: options.signal,
    });
  } catch (error) {
    running.kill('SIGKILL');
    await running.exited;
    throw error;
  }
  return {
    url,
    port,
    pid: running.pid,
    exited: running.exited,
    kill: (name) => running.kill(name),
    stop: () =>
      stopProcess(running, [
        { signal: 'SIGCONT', patienceSeconds: 0 },
        { signal: 'SIGTERM', patienceSeconds: 10 },
        { signal: 'SIGKILL', patienceSeconds: 5 },
      ]),
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch (error) {
    // Not listening yet.
    if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) return false;
    throw error;
  }
}

/** Applies the gateway's migrations. @param image folder of the Holdfast whose they are. */
export async function migrateLab(databaseUrl: string, logFile: string, image = thisCheckout): Promise<void> {
  const running = await launch({
    command: process.execPath,
    args: [entryOf(image), 'migrate'],
    environment: { PATH: '/usr/local/bin:/usr/bin:/bin', DATABASE_URL: databaseUrl },
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  const { code } = await running.exited;
  if (code !== 0) throw new Error(`the migrations failed: ${await running.lastLines()}`);
}
