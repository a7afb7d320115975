/** Programs out of Debian's packages, unpacked into a folder of ours: needs no root and changes nothing on the system. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './run-command.ts';

export interface UnpackOptions {
  /** Becomes the root of the unpacked files: programs are in `usr/bin`. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
}

/** Folders in which unpacked packages keep their libraries, for LD_LIBRARY_PATH. */
export async function libraryPath(directory: string): Promise<string> {
  const folders: string[] = [];
  for (const parent of ['usr/lib', 'lib']) {
    const path = join(directory, parent);
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    if (entries.length > 0) folders.push(path);
    for (const entry of entries) if (entry.name.endsWith('-linux-gnu')) folders.push(join(path, entry.name));
  }
  return folders.join(':');
}

/**
 * Downloads packages and unpacks them into `directory`.
 * @throws when a package cannot be had; the message is apt's or dpkg's.
 */
export async function unpackPackages(names: readonly string[], options: UnpackOptions): Promise<void> {
  const downloads = join(options.directory, 'downloads');
  await mkdir(downloads, { recursive: true });
  await download(names, downloads, options);
  for (const file of await readdir(downloads)) {
    if (!file.endsWith('.deb')) continue;
    const line = { command: 'dpkg', args: ['-x', join(downloads, file), options.directory] };
    await runCommand(line, { timeoutSeconds: 60, signal: options.signal });
  }
}

/** With the system's package lists if it has any; otherwise with lists of our own, since only root may fetch those. */
async function download(names: readonly string[], downloads: string, options: UnpackOptions): Promise<void> {
  // apt would change to a user that cannot write into this folder, and warn about it.
  const asUs = ['-o', 'APT::Sandbox::User='];
  const run = (args: readonly string[]) =>
    runCommand(
      { command: 'apt-get', args: [...asUs, ...args] },
      { timeoutSeconds: 180, signal: options.signal, directory: downloads },
    );
  try {
    await run(['download', ...names]);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const lists = join(options.directory, 'apt');
    await mkdir(join(lists, 'lists', 'partial'), { recursive: true });
    await mkdir(join(lists, 'cache', 'archives', 'partial'), { recursive: true });
    const privately = [`Dir::State::lists=${lists}/lists`, `Dir::Cache=${lists}/cache`, 'Debug::NoLocking=1'];
    const ownLists = privately.flatMap((setting) => ['-o', setting]);
    await run([...ownLists, 'update']);
    await run([...ownLists, 'download', ...names]);
  }
}

/** Shared libraries that a program needs and that neither the system nor `searchPath` has. */
export async function missingLibraries(program: string, searchPath: string, signal?: AbortSignal): Promise<string[]> {
  const line = { command: 'env', args: [`LD_LIBRARY_PATH=${searchPath}`, 'ldd', program] };
  const output = await runCommand(line, { timeoutSeconds: 30, signal });
  return [...output.matchAll(/^\s*(\S+) => not found$/gm)].map((match) => match[1] ?? '');
}

/** Debian's package for a shared library, by Debian's naming rule: `libjemalloc.so.2` is in `libjemalloc2`. */
export function packageOfLibrary(library: string): string {
  // The rule's exception: OpenSSL's two libraries share one package.
  const [stem = '', version = ''] = library.replace(/^libcrypto\.so/, 'libssl.so').split('.so.');
  return `${stem}${/\d$/.test(stem) ? '-' : ''}${version}`.toLowerCase().replaceAll('_', '-');
}
