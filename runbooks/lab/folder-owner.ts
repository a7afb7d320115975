/** Exactly one living process may run a server on a data folder. */
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { LauncherError } from './launcher-error.ts';

/** The right to run a server on one folder; it ends with `release` or with the process, whichever is first. */
export interface FolderOwner {
  release(): void;
}

/**
 * Takes a data folder for this process.
 *
 * The lock is SQLite's exclusive lock on `<folder>.lock`, so the kernel drops it the moment its holder dies, however it
 * dies. A file with a pid in it could not do that: two starters that find a dead pid at once would both take over. The
 * child processes do not inherit it. The lock file stays: deleting it would let two processes lock two different files.
 * @throws LauncherError `DataFolderInUse` naming the pid that owns it.
 */
export function ownFolder(dataDirectory: string): FolderOwner {
  const note = `${dataDirectory}.owner`;
  const lock = new DatabaseSync(`${dataDirectory}.lock`, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw new LauncherError(
      'DataFolderInUse',
      `${dataDirectory} is in use by another process (${readOwner(note)}). Stop that one, or choose another data folder.`,
      error,
    );
  }
  // For people and for the message above; nothing is decided by it.
  writeFileSync(note, `pid ${process.pid}, since ${new Date().toISOString()}\n`, { mode: 0o600 });
  return {
    release: () => {
      if (lock.isOpen) lock.close();
    },
  };
}

function readOwner(note: string): string {
  try {
    return readFileSync(note, 'utf8').trim();
  } catch {
    // It locks first and writes its note a moment later.
    return 'it has just started';
  }
}
