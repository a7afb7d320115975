/** moto: AWS's RDS, S3 and more on this machine, as far as it has them. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { parentBound } from '../../../runbooks/lab/parent-bound.ts';

/** In a virtual environment that `.ci/run` makes; elsewhere: `python3 -m venv .cache/python && .cache/python/bin/pip install -r test/fixtures/python/requirements.txt` */
export const motoProgram = fileURLToPath(new URL('../../../.cache/python/bin/moto_server', import.meta.url));

export interface MotoServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Importing all of AWS's services takes Python a while, on a busy machine more so. */
const startPatienceMs = 100_000;

/** @throws when it does not answer in time. */
export async function startMoto(): Promise<MotoServer> {
  const port = await freePort();
  const line = await parentBound({ command: motoProgram, args: ['-H', '127.0.0.1', '-p', String(port)] }, 'SIGKILL');
  const child = spawn(line.command, [...line.args], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + startPatienceMs;
  const answers = async (): Promise<boolean> => {
    try {
      return (await fetch(`${url}/moto-api/data.json`, { signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  };
  while (!(await answers())) {
    if (Date.now() > deadline || child.exitCode !== null) {
      child.kill('SIGKILL');
      throw new Error(`moto does not answer on ${url}`);
    }
    await sleep(50);
  }
  return {
    url,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
