/** The program as it was before the newest migration: what still runs while a rollout migrates the database. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temporary-directory.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const migrations = 'gateway/stores/migrations';

/** @returns its `bin/holdfast.ts`; undefined where this is no clone, or one without the history. */
export async function previousVersion(): Promise<string | undefined> {
  const newest = (await readdir(join(root, migrations))).toSorted().at(-1) ?? '';
  const added = await git('log', '--diff-filter=A', '--format=%P', '-1', '--', `${migrations}/${newest}`);
  const [parent = ''] = added?.trim().split(' ') ?? [];
  if (parent === '') return undefined;
  const directory = await temporaryDirectory();
  const archive = join(directory, 'previous.tar');
  const folder = join(directory, 'previous');
  await mkdir(folder);
  if ((await git('archive', '--output', archive, parent)) === undefined) return undefined;
  await run('tar', ['-xf', archive, '-C', folder], { timeout: 20_000 });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin/holdfast.ts');
}

async function git(...words: string[]): Promise<string | undefined> {
  try {
    return (await run('git', words, { cwd: root, timeout: 20_000 })).stdout;
  } catch (error) {
    // 128 is git's word for what it does not find: no repository, or a commit that a shallow clone lacks.
    if (error instanceof Error && 'code' in error && error.code === 128) return undefined;
    throw error;
  }
}
