/** Starts the upstream simulator as a process of its own, so that somebody can kill it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exit, launch, stopProcess, waitUntilReady } from './child-process.ts';
import { freePort } from './free-port.ts';

export interface UpstreamProcess {
  readonly name: string;
  /** Base address for `api_base`, with `/v1`. */
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  readonly exited: Promise<Exit>;
}

const entry = fileURLToPath(new URL('upstream-process.ts', import.meta.url));

/** @param directory for its log. @throws LauncherError when it does not answer. */
export async function startUpstreamProcess(
  name: string,
  directory: string,
  signal?: AbortSignal,
): Promise<UpstreamProcess> {
  const port = await freePort();
  const running = await launch({
    command: process.execPath,
    args: [entry, name, String(port)],
    logFile: join(directory, `${name.replaceAll(' ', '-')}.log`),
    signalAtParentExit: 'SIGKILL',
  });
  const url = `http://127.0.0.1:${port}/v1`;
  await waitUntilReady(running, { name, isReady: () => answers(url), timeoutSeconds: 10, signal });
  return {
    name,
    url,
    pid: running.pid,
    exited: running.exited,
    kill: (with_) => running.kill(with_),
    stop: async () => {
      await stopProcess(running, [
        { signal: 'SIGTERM', patienceSeconds: 2 },
        { signal: 'SIGKILL', patienceSeconds: 2 },
      ]);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/models`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch (error) {
    // Not listening yet.
    if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) return false;
    throw error;
  }
}
