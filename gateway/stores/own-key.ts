/** A key that this installation made for itself and keeps beside what it signs or seals, readable by its user alone. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @returns the key of that name in the folder; made when there is none. */
export async function ownKey(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  const known = await readIfThere(path);
  if (isKey(known)) return known;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Whole before it has its name: of several workers that start at once, one names its key and the others read that.
  const temporary = join(directory, `${name}.${randomBytes(4).toString('hex')}.tmp`);
  await writeFile(temporary, randomBytes(32).toString('hex'), { mode: 0o600, flush: true });
  // An empty or cut key would sign with something that anybody can guess, so it is replaced.
  if (known !== undefined) await rename(temporary, path);
  else {
    await link(temporary, path).catch(ignoreExisting);
    await unlink(temporary);
  }
  return readFile(path, 'utf8');
}

/** @returns undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces a file as a whole: a kill in the middle leaves the old one. */
export async function replaceFile(directory: string, name: string, content: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Random, since containers that share a volume all have process 1.
  const temporary = join(directory, `${name}.${randomBytes(4).toString('hex')}.tmp`);
  await writeFile(temporary, content, { mode: 0o600, flush: true });
  await rename(temporary, join(directory, name));
}

const isKey = (text: string | undefined): text is string => text !== undefined && /^[0-9a-f]{64}$/.test(text);

function ignoreExisting(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);
