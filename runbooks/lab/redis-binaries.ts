/** Where Redis is: on the PATH, or fetched from Debian's packages into a folder that git ignores. */

import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandLine } from './child-process.ts';
import { libraryPath, missingLibraries, packageOfLibrary, unpackPackages } from './debian-packages.ts';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import { canRun, runCommand } from './run-command.ts';

export type RedisProgram = 'redis-server' | 'redis-sentinel' | 'redis-cli';

export interface RedisBinaries {
  command(program: RedisProgram, args: readonly string[]): CommandLine;
}

export interface FindRedisOptions {
  /** Fetched programs are kept here: `.cache/redis` of the project if not given. */
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `redis-server` is only a name in Debian: the program is in `redis-tools`. */
const packages = ['redis-server', 'redis-tools', 'redis-sentinel', 'libjemalloc2', 'liblzf1'];

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
  const cache = resolve(options.cacheDirectory ?? fileURLToPath(new URL('../../.cache/redis', import.meta.url)));
  // Named by the system, since a checkout may move to another machine together with its cache.
  const directory = join(cache, `${await systemName()}-${process.arch}`);
  if (!(await exists(join(directory, 'usr/bin/redis-server')))) await fetchInto(directory, options.signal);
  return fetched(directory, await libraryPath(directory));
}

function fetched(directory: string, searchPath: string): RedisBinaries {
  return {
    command: (program, args) => ({
      command: 'env',
      args: [`LD_LIBRARY_PATH=${searchPath}`, join(directory, 'usr/bin', program), ...args],
    }),
  };
}

/** Unpacks beside the place, tries it out, and renames it: whoever finds the folder finds a Redis that runs. */
async function fetchInto(directory: string, signal?: AbortSignal): Promise<void> {
  const workshop = `${directory}.unfinished-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(workshop, { recursive: true });
    await unpackPackages(packages, { directory: workshop, signal });
    await completeLibraries(workshop, signal);
    const line = fetched(workshop, await libraryPath(workshop)).command('redis-server', ['--version']);
    await runCommand(line, { timeoutSeconds: 10, signal });
    for (const leftover of ['downloads', 'apt']) await rm(join(workshop, leftover), { recursive: true, force: true });
    await rename(workshop, directory);
  } catch (error) {
    // Another process was faster; its folder is as good as ours.
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return;
    if (signal?.aborted) throw new LauncherError('Aborted', 'Fetching Redis was called off.', error);
    throw missing('Fetching it from the package archive failed. Install it with apt-get install redis-server', error);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** Minimal systems lack libraries that Debian takes for granted, and those may need others in turn. */
async function completeLibraries(directory: string, signal?: AbortSignal): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const lacking = await missingLibraries(
      join(directory, 'usr/bin/redis-server'),
      await libraryPath(directory),
      signal,
    );
    if (lacking.length === 0) return;
    await unpackPackages([...new Set(lacking.map(packageOfLibrary))], { directory, signal });
  }
}

function missing(mend: string, cause?: unknown): LauncherError {
  return new LauncherError(
    'BinariesMissing',
    `No Redis on this machine. ${mend}, or set REDIS_URL to one of yours.`,
    cause,
  );
}

async function systemName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string): string => new RegExp(`^${name}="?([\\w.-]+)"?$`, 'm').exec(release)?.[1] ?? 'unknown';
  return `${field('ID')}-${field('VERSION_ID')}`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
