/** Programs out of Debian's packages, fetched once into a folder that git ignores and shared by all processes after that. */
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { libraryPath, missingLibraries, packageOfLibrary, unpackPackages } from './debian-packages.ts';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import type { CommandLine } from './run-command.ts';
import { runCommand } from './run-command.ts';

export interface FetchPlan {
  /** For people: "Redis". */
  readonly title: string;
  /** Of its folder below the cache. */
  readonly name: string;
  readonly packages: readonly string[];
  /** Inside the unpacked packages, for example `usr/bin/redis-server`. */
  readonly program: string;
  /** Prints the version and ends with 0: shows that it runs here. */
  readonly versionArgument: string;
}

export interface FetchOptions {
  /** Instead of `.cache/NAME` of the project. */
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @returns how to run a program of the packages, by its path inside them. @throws when it cannot be fetched. */
export async function fetchPrograms(
  plan: FetchPlan,
  { cacheDirectory, signal }: FetchOptions = {},
): Promise<(program: string, args: readonly string[]) => CommandLine> {
  const cache = resolve(cacheDirectory ?? fileURLToPath(new URL(`../../.cache/${plan.name}`, import.meta.url)));
  // Named by the system, since a checkout may move to another machine together with its cache.
  const directory = join(cache, `${await systemName()}-${process.arch}`);
  if (!(await exists(join(directory, plan.program)))) await fetchInto(directory, plan, signal);
  return fetched(directory, await libraryPath(directory));
}

const fetched =
  (directory: string, searchPath: string) =>
  (program: string, args: readonly string[]): CommandLine => ({
    command: 'env',
    args: [`LD_LIBRARY_PATH=${searchPath}`, join(directory, program), ...args],
  });

/** Unpacks beside the place, tries it out, and renames it: whoever finds the folder finds a program that runs. */
async function fetchInto(directory: string, plan: FetchPlan, signal?: AbortSignal): Promise<void> {
  const workshop = `${directory}.unfinished-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(workshop, { recursive: true });
    await unpackPackages(plan.packages, { directory: workshop, signal });
    await completeLibraries(workshop, plan.program, signal);
    const line = fetched(workshop, await libraryPath(workshop))(plan.program, [plan.versionArgument]);
    await runCommand(line, { timeoutSeconds: 10, signal });
    for (const leftover of ['downloads', 'apt']) await rm(join(workshop, leftover), { recursive: true, force: true });
    await rename(workshop, directory);
  } catch (error) {
    // Another process was faster; its folder is as good as ours.
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return;
    if (signal?.aborted) throw new LauncherError('Aborted', `Fetching ${plan.title} was called off.`, error);
    throw error;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** Minimal systems lack libraries that Debian takes for granted, and those may need others in turn. */
async function completeLibraries(directory: string, program: string, signal?: AbortSignal): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const lacking = await missingLibraries(join(directory, program), await libraryPath(directory), signal);
    if (lacking.length === 0) return;
    await unpackPackages([...new Set(lacking.map(packageOfLibrary))], { directory, signal });
  }
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
