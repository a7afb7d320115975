/** Where nginx is: installed, or fetched from Debian's packages into a folder that git ignores. */

import { type FetchOptions, fetchPrograms } from './fetched-programs.ts';
import { LauncherError } from './launcher-error.ts';
import type { CommandLine } from './run-command.ts';
import { canRun } from './run-command.ts';

export type NginxCommand = (args: readonly string[]) => CommandLine;

const plan = {
  title: 'nginx',
  name: 'nginx',
  packages: ['nginx'],
  program: 'usr/sbin/nginx',
  versionArgument: '-v',
};

export interface FindNginxOptions extends FetchOptions {
  /** Pass over one that is installed. */
  readonly onlyFetched?: boolean;
}

/**
 * Finds nginx, fetching it once if the machine has none. Several processes may do so at once.
 * @throws LauncherError `BinariesMissing` with the command that installs it.
 */
export async function findNginx(options: FindNginxOptions = {}): Promise<NginxCommand> {
  // Debian keeps it where only root's PATH leads.
  for (const command of options.onlyFetched === true ? [] : ['nginx', '/usr/sbin/nginx']) {
    if (await canRun({ command, args: ['-v'] }, options.signal)) return (args) => ({ command, args });
  }
  if (!(await canRun({ command: 'apt-get', args: ['--version'] }, options.signal))) {
    const install = process.platform === 'darwin' ? 'brew install nginx' : 'your package manager';
    throw missing(`Install it with ${install}.`);
  }
  try {
    const command = await fetchPrograms(plan, options);
    return (args) => command(plan.program, args);
  } catch (error) {
    if (error instanceof LauncherError && error.code === 'Aborted') throw error;
    throw missing('Fetching it from the package archive failed. Install it with apt-get install nginx-light.', error);
  }
}

const missing = (mend: string, cause?: unknown): LauncherError =>
  new LauncherError('BinariesMissing', `No nginx on this machine. ${mend}`, cause);
