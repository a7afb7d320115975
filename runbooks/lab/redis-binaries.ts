/** Where Redis is: on the PATH, or fetched from Debian's packages into a folder that git ignores. */

import { fetchPrograms } from './fetched-programs.ts';
import { LauncherError } from './launcher-error.ts';
import type { CommandLine } from './run-command.ts';
import { canRun } from './run-command.ts';

export type RedisProgram = 'redis-server' | 'redis-sentinel' | 'redis-cli';

export interface RedisBinaries {
  command(program: RedisProgram, args: readonly string[]): CommandLine;
}

export interface FindRedisOptions {
  /** Fetched programs are kept here: `.cache/redis` of the project if not given. */
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const plan = {
  title: 'Redis',
  name: 'redis',
  /** `redis-server` is only a name in Debian: the program is in `redis-tools`. */
  packages: ['redis-server', 'redis-tools', 'redis-sentinel', 'libjemalloc2', 'liblzf1'],
  program: 'usr/bin/redis-server',
  versionArgument: '--version',
};

/**
 * Finds Redis, fetching it once if the machine has none. Several processes may do so at once.
 * @throws LauncherError `BinariesMissing` with the command that installs it.
 */
export async function findRedis(options: FindRedisOptions = {}): Promise<RedisBinaries> {
  if (await canRun({ command: 'redis-server', args: ['--version'] }, options.signal)) {
    return { command: (program, args) => ({ command: program, args }) };
  }
  if (!(await canRun({ command: 'apt-get', args: ['--version'] }, options.signal))) {
    const install = process.platform === 'darwin' ? 'brew install redis' : 'your package manager';
    throw missing(`Install it with ${install}`);
  }
  try {
    const command = await fetchPrograms(plan, options);
    return { command: (program, args) => command(`usr/bin/${program}`, args) };
  } catch (error) {
    if (error instanceof LauncherError && error.code === 'Aborted') throw error;
    throw missing('Fetching it from the package archive failed. Install it with apt-get install redis-server', error);
  }
}

function missing(mend: string, cause?: unknown): LauncherError {
  return new LauncherError(
    'BinariesMissing',
    `No Redis on this machine. ${mend}, or set REDIS_URL to one of yours.`,
    cause,
  );
}
