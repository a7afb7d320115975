/** Prometheus' own checker, from the PATH or out of Debian's package; undefined where neither can be had. */
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackPackages } from '../../runbooks/lab/debian-packages.ts';
import { canRun, runCommand } from '../../runbooks/lab/run-command.ts';

const folder = fileURLToPath(new URL('../../.cache/prometheus', import.meta.url));

/** The program to run: needs no library beside the system's own. */
export async function findPromtool(): Promise<string | undefined> {
  const fetched = join(folder, `promtool-${process.arch}`);
  for (const candidate of ['promtool', fetched]) {
    if (await canRun({ command: candidate, args: ['--version'] })) return candidate;
  }
  if (!(await canRun({ command: 'apt-get', args: ['--version'] }))) return undefined;
  const workshop = join(folder, `unfinished-${process.pid}`);
  try {
    await mkdir(workshop, { recursive: true });
    await unpackPackages(['prometheus'], { directory: workshop });
    const program = join(workshop, 'promtool');
    await copyFile(join(workshop, 'usr/bin/promtool'), program);
    await runCommand({ command: program, args: ['--version'] }, { timeoutSeconds: 10 });
    await rename(program, fetched);
    return fetched;
  } catch (error) {
    // Without a network there is nothing to fetch. CI has one, and must not skip.
    if (process.env['CI'] !== undefined) throw error;
    return undefined;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}
