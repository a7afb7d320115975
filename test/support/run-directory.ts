import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearOrphan } from '../../runbooks/lab/postgres-orphan.ts';
import { isRunning } from './processes.ts';

const prefix = 'holdfast-run-';

/** A folder for the servers of this test run, after removing those of runs that were killed, and what still runs there. */
export async function runDirectory(): Promise<string> {
  const parent = await realpath(tmpdir());
  for (const name of await readdir(parent)) {
    const pid = Number(new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]);
    if (!(pid > 0) || isRunning(pid)) continue;
    await clearOrphan(join(parent, name, 'postgres'));
    await rm(join(parent, name), { recursive: true, force: true });
  }
  return mkdtemp(join(parent, `${prefix}${process.pid}-`));
}
