import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { Supervisor, WorkerFailed } from '../../../gateway/cluster/supervisor.ts';
import { isRunning, until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** @param first whether a worker is ready before the other one dies. */
async function supervise(first: 'serves' | 'alone') {
  const failures: string[] = [];
  const supervisor = new Supervisor({
    count: 2,
    entry: fileURLToPath(new URL('mortal-worker.ts', import.meta.url)),
    environment: { MORTAL_DIRECTORY: await temporaryDirectory(), MORTAL_FIRST: first },
    drainSeconds: 1,
    onWorkerLost: () => undefined,
    onRestartFailed: (error) => failures.push(error.message),
  });
  onTestFinished(() => supervisor.kill());
  return { supervisor, failures };
}

it('a worker that is killed while it starts is replaced, and the one that serves already is left alone', async () => {
  const { supervisor, failures } = await supervise('serves');
  await supervisor.start();
  const [serving] = supervisor.pids();
  await until(() => supervisor.pids().length === 2);
  expect(supervisor.pids()[0]).toBe(serving);
  expect(failures).toEqual(['a gateway process ended before it was ready (SIGKILL)']);
});

it('a worker that is killed before any other serves ends the start, and all of them', async () => {
  const { supervisor } = await supervise('alone');
  const starting = supervisor.start();
  await until(() => supervisor.pids().length === 2);
  const pids = supervisor.pids();
  await expect(starting).rejects.toThrow(WorkerFailed);
  await until(() => pids.every((pid) => !isRunning(pid)));
});
