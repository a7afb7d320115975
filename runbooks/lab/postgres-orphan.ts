/** A PostgreSQL that still runs on a data folder although the process that started it is dead. */

import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StopStep } from './child-process.ts';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import { runCommand } from './run-command.ts';

/** What `postmaster.pid` in a data folder tells. */
export type Postmaster =
  /** No file: the last server ended in order. */
  | { readonly is: 'absent' }
  /** The process is dead. PostgreSQL clears the file itself, and looks out for surviving children first. */
  | { readonly is: 'dead' }
  /** The pid belongs to another program now. PostgreSQL would refuse to start because that pid is alive. */
  | { readonly is: 'foreign' }
  /** A PostgreSQL on this very folder. */
  | { readonly is: 'running'; readonly pid: number };

/** Looks at the folder; changes nothing. */
export async function findPostmaster(dataDirectory: string): Promise<Postmaster> {
  let text: string;
  try {
    text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { is: 'absent' };
    throw error;
  }
  const pid = Number.parseInt(text, 10);
  if (!(pid > 1) || !isAlive(pid)) return { is: 'dead' };
  return (await isPostgresOn(dataDirectory, pid)) ? { is: 'running', pid } : { is: 'foreign' };
}

/** First the orderly end, which writes everything out; then the quick one, after which the next start recovers. */
const forPostmaster: readonly StopStep[] = [
  { signal: 'SIGINT', patienceSeconds: 20 },
  { signal: 'SIGQUIT', patienceSeconds: 10 },
  { signal: 'SIGKILL', patienceSeconds: 5 },
];

/** For children that lost their postmaster: nobody waits for what they do, and the next start recovers anyway. */
const forSurvivors: readonly StopStep[] = [
  { signal: 'SIGQUIT', patienceSeconds: 5 },
  { signal: 'SIGKILL', patienceSeconds: 5 },
];

/**
 * Ends what still runs on the folder. Only for callers that own the folder: then no living process wants it.
 * @throws LauncherError `DataFolderInUse` when it cannot be ended.
 */
export async function clearOrphan(dataDirectory: string, signal?: AbortSignal): Promise<void> {
  const postmaster = await findPostmaster(dataDirectory);
  switch (postmaster.is) {
    case 'absent':
      return;
    case 'foreign':
      await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
      break;
    case 'running':
      await end(dataDirectory, [postmaster.pid], forPostmaster, signal);
      break;
    case 'dead':
      break;
  }
  // A child in the middle of a long query notices the death of its postmaster only after it, and holds the shared
  // memory until then, without which PostgreSQL refuses to start.
  await end(dataDirectory, await findSurvivors(dataDirectory), forSurvivors, signal);
}

/** Children of a dead postmaster. Only Linux shows in which folder a process stands; elsewhere the start waits for them. */
async function findSurvivors(dataDirectory: string): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1);
  const standing = await Promise.all(pids.map((pid) => isPostgresOn(dataDirectory, pid)));
  return pids.filter((_, index) => standing[index]);
}

async function end(
  dataDirectory: string,
  pids: readonly number[],
  steps: readonly StopStep[],
  signal?: AbortSignal,
): Promise<void> {
  let left = pids;
  for (const step of steps) {
    for (const pid of left) send(pid, step.signal);
    const until = Date.now() + step.patienceSeconds * 1000;
    while (left.length > 0 && Date.now() < until) {
      // A zombie is alive for the kernel but no PostgreSQL any more; in containers nobody may ever reap it.
      const running = await Promise.all(left.map((pid) => isPostgresOn(dataDirectory, pid)));
      left = left.filter((_, index) => running[index]);
      if (left.length > 0) await sleep(25, undefined, { signal });
    }
    if (left.length === 0) return;
  }
  throw new LauncherError(
    'DataFolderInUse',
    `A PostgreSQL left over from an earlier run (pid ${left.join(', ')}) still uses ${dataDirectory} and cannot be ended. End it, then start again.`,
  );
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/** True if `pid` is a PostgreSQL server on this folder, and not a program that got the same pid later. */
async function isPostgresOn(dataDirectory: string, pid: number): Promise<boolean> {
  try {
    if (process.platform === 'linux') {
      const commandLine = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      // A server stands in its data folder: this also holds after the folder was renamed.
      return (commandLine[0] ?? '').includes('postgres') && (await readlink(`/proc/${pid}/cwd`)) === dataDirectory;
    }
    const line = { command: 'ps', args: ['-o', 'command=', '-p', String(pid)] };
    const commandLine = await runCommand(line, { timeoutSeconds: 5 });
    return commandLine.includes('postgres') && commandLine.includes(dataDirectory);
  } catch {
    // It ended while we looked, or is somebody else's and hides from us: either way no server of ours.
    return false;
  }
}
