/** moto: AWS's RDS on this machine, as far as it has one. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { parentBound } from '../../../runbooks/lab/parent-bound.ts';
import { canRun } from '../../../runbooks/lab/run-command.ts';

/** In a virtual environment that `.ci/run` makes; elsewhere: `python3 -m venv .cache/python && .cache/python/bin/pip install -r test/fixtures/python/requirements.txt` */
const program = fileURLToPath(new URL('../../../.cache/python/bin/moto_server', import.meta.url));

export const motoIsInstalled = (): Promise<boolean> => canRun({ command: program, args: ['--help'] });

export interface Moto {
  readonly url: string;
  /** Forgets everything. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

const startPatienceMs = 30_000;

/** An empty AWS of one account. @throws when it does not answer in time. */
export async function startMoto(account: string): Promise<Moto> {
  const port = await freePort();
  const line = await parentBound({ command: program, args: ['-H', '127.0.0.1', '-p', String(port)] }, 'SIGKILL');
  const child = spawn(line.command, [...line.args], { stdio: 'ignore', env: { MOTO_ACCOUNT_ID: account } });
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
    reset: async () => {
      await fetch(`${url}/moto-api/reset`, { method: 'POST', signal: AbortSignal.timeout(10_000) });
    },
    close: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
