/** Makes and checks the folder of a PostgreSQL cluster. The caller owns the folder (folder-owner.ts) all the while. */

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode, messageOf } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import type { RunAs } from './postgres-binaries.ts';
import { runCommand } from './run-command.ts';

/** The user that owns every cluster that we make. */
export const postgresUser = 'holdfast';
/** Kept inside the cluster, so that it appears together with it, survives restarts and travels with physical copies. */
const passwordFile = 'holdfast-password';
const majorVersion = '18';

export interface DataFolderOptions {
  readonly dataDirectory: string;
  /** Folder with `initdb`. */
  readonly binaries: string;
  readonly runAs: RunAs;
  /** Password for a new cluster, or the one to check against; generated when absent. */
  readonly password?: string | undefined;
  /** Leaves out flushing to disk, for clusters that no power cut needs to spare. */
  readonly volatile: boolean;
  /** A version before 17, which has no locales of its own. */
  readonly old?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the password of the cluster in the folder, after making the cluster if the folder is empty or absent.
 * @throws LauncherError `DataFolderUnusable` when something else is in the folder; it is never touched.
 */
export async function prepareDataFolder(options: DataFolderOptions): Promise<string> {
  await removeUnfinished(options.dataDirectory);
  const entries = await entriesOf(options.dataDirectory);
  if (entries.length === 0) return createCluster(options);
  const version = entries.includes('PG_VERSION')
    ? (await readFile(join(options.dataDirectory, 'PG_VERSION'), 'utf8')).trim()
    : undefined;
  if (version !== majorVersion) {
    const found = version === undefined ? 'something that is no PostgreSQL cluster' : `a PostgreSQL ${version} cluster`;
    throw new LauncherError(
      'DataFolderUnusable',
      `${options.dataDirectory} holds ${found}; this launcher runs PostgreSQL ${majorVersion}. Choose another folder${version === undefined ? '' : ', or dump and restore its data'}.`,
    );
  }
  return knownPassword(options);
}

async function knownPassword({ dataDirectory, password }: DataFolderOptions): Promise<string> {
  let stored: string | undefined;
  try {
    stored = (await readFile(join(dataDirectory, passwordFile), 'utf8')).trim();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  if (stored !== undefined && password !== undefined && stored !== password) {
    throw new LauncherError(
      'WrongPassword',
      `The password given for ${dataDirectory} is not the one it was made with. Leave the password out; the folder knows it.`,
    );
  }
  const found = stored ?? password;
  if (found !== undefined) return found;
  throw new LauncherError(
    'WrongPassword',
    `${dataDirectory} was made elsewhere: it has no file ${passwordFile}. Give the password of its user ${postgresUser}.`,
  );
}

/** Makes the cluster beside its place and renames it, so that a kill in the middle never leaves half a cluster. */
async function createCluster(options: DataFolderOptions): Promise<string> {
  const { dataDirectory, runAs, signal } = options;
  const password = options.password ?? randomBytes(24).toString('base64url');
  const workshop = `${unfinishedPrefix(dataDirectory)}${process.pid}-${randomBytes(4).toString('hex')}`;
  const cluster = join(workshop, 'data');
  const secret = join(workshop, 'password');
  try {
    await mkdir(cluster, { recursive: true, mode: 0o700 });
    await writeFile(secret, `${password}\n`, { mode: 0o600 });
    for (const path of [workshop, cluster, secret]) await runAs.give(path);
    const line = runAs.command(join(options.binaries, 'initdb'), [
      `--pgdata=${cluster}`,
      `--username=${postgresUser}`,
      '--auth=scram-sha-256',
      `--pwfile=${secret}`,
      '--encoding=UTF8',
      // The builtin provider sorts alike on every machine, so that a copied cluster keeps its indexes valid.
      ...(options.old === true
        ? ['--locale=C.UTF-8']
        : ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']),
      '--no-instructions',
      ...(options.volatile ? ['--no-sync'] : []),
    ]);
    await runCommand(line, { timeoutSeconds: 120, signal });
    await rename(secret, join(cluster, passwordFile));
    await chmod(cluster, 0o700);
    await rename(cluster, dataDirectory);
    return password;
  } catch (error) {
    if (error instanceof LauncherError || signal?.aborted) throw error;
    throw new LauncherError('StartFailed', `No new cluster in ${dataDirectory}: ${messageOf(error)}`, error);
  } finally {
    // A server that initdb had started may still write while it notices that initdb was killed; hence the retries.
    await rm(workshop, { recursive: true, force: true, maxRetries: 10 });
  }
}

const unfinishedPrefix = (dataDirectory: string): string => `${dataDirectory}.unfinished-`;

async function removeUnfinished(dataDirectory: string): Promise<void> {
  const prefix = basename(unfinishedPrefix(dataDirectory));
  for (const name of await readdir(dirname(dataDirectory))) {
    if (name.startsWith(prefix)) await rm(join(dirname(dataDirectory), name), { recursive: true, force: true });
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
