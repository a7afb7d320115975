/** Exactly one living process may write or recover a log. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Ends with `release` or with the process, whichever is first. */
export interface LogLock {
  release(): void;
}

/** SQLite's codes for a lock that somebody else has, and for a file that cannot be opened. */
const busy = 5;
const cannotOpen = 14;

/**
 * SQLite's exclusive lock on a file in the log's folder: the kernel drops it the moment its holder dies, however it dies,
 * and it holds between containers that share a volume. On NFS it is as good as the server's locking; there, give each
 * gateway a folder of its own.
 * @returns undefined when another process has it, or when the log is gone.
 */
export function lockLog(directory: string): LogLock | undefined {
  let file: DatabaseSync;
  try {
    file = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
  } catch (error) {
    if (codeOf(error) === cannotOpen && !existsSync(directory)) return undefined;
    throw error;
  }
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    file.close();
    if (codeOf(error) === busy || !existsSync(directory)) return undefined;
    throw error;
  }
  // Whoever held it a moment ago may have removed the log with its lock.
  if (!existsSync(directory)) {
    file.close();
    return undefined;
  }
  return {
    release: () => {
      if (file.isOpen) file.close();
    },
  };
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'errcode' in error ? error.errcode : undefined);
