/** Processes that must not outlive us: start one, wait until it serves, end it step by step. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';
import { parentBound } from './parent-bound.ts';
import type { CommandLine } from './run-command.ts';

export interface LaunchOptions extends CommandLine {
  /** Output goes here; the file of the run before is kept as `<logFile>.previous`. */
  readonly logFile: string;
  /** Written to standard input, which is then closed: for what must not show in the process list. */
  readonly input?: string;
  readonly directory?: string;
  /** Sent when this process ends without having stopped the child. */
  readonly signalAtParentExit: NodeJS.Signals;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started process. It is ours until `exited` resolves. */
export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Aborted once the process has exited, for use in `AbortSignal.any`. */
  readonly gone: AbortSignal;
  /** Sends a signal; does nothing once the process has exited, since its pid may belong to somebody else by then. */
  kill(signal: NodeJS.Signals): void;
  /** The end of what it wrote, for error messages. */
  lastLines(): Promise<string>;
}

/** One step of an orderly end: send the signal, wait so long, then go on to the next step. */
export interface StopStep {
  readonly signal: NodeJS.Signals;
  readonly patienceSeconds: number;
}

// One listener for all children: one listener each would trip Node's warning about leaks at the eleventh.
const children = new Map<ChildProcess, NodeJS.Signals>();
process.on('exit', () => {
  for (const [child, signal] of children) child.kill(signal);
});

/**
 * Starts a process in a session of its own, so that Ctrl-C reaches only us and we decide the order of stopping.
 * @throws the operating system's error when the program cannot be executed.
 */
export async function launch(options: LaunchOptions): Promise<RunningProcess> {
  const line = await parentBound(options, options.signalAtParentExit);
  await keepPrevious(options.logFile);
  // A file, not a pipe: if we die or our event loop stands still, the server still has somewhere to write.
  const log = openSync(options.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(line.command, line.args, {
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', log, log],
      ...(options.environment === undefined ? {} : { env: options.environment }),
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
    });
  } finally {
    closeSync(log);
  }
  const pid = await spawned(child);
  children.set(child, options.signalAtParentExit);
  const gone = new AbortController();
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      children.delete(child);
      gone.abort();
      resolve({ code, signal });
    });
  });
  // A child that dies before it reads leaves EPIPE here; its exit is reported by `exited`.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input);
  return {
    pid,
    exited,
    gone: gone.signal,
    kill: (signal) => void (gone.signal.aborted || child.kill(signal)),
    lastLines: () => lastLines(options.logFile),
  };
}

/**
 * Asks `isReady` until it says yes.
 * @throws LauncherError `StartFailed` when the process ends or time runs out, `Aborted` when `signal` fires.
 */
export async function waitUntilReady(
  running: RunningProcess,
  options: {
    readonly name: string;
    /** One bounded question; false means "not yet", an exception ends the wait. */
    readonly isReady: () => Promise<boolean>;
    readonly timeoutSeconds: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const outOfTime = AbortSignal.timeout(options.timeoutSeconds * 1000);
  const stopWaiting = AbortSignal.any([running.gone, outOfTime, ...(options.signal ? [options.signal] : [])]);
  while (!stopWaiting.aborted) {
    if ((await options.isReady()) && !stopWaiting.aborted) return;
    await sleep(25, undefined, { signal: stopWaiting }).catch(() => undefined);
  }
  if (options.signal?.aborted) throw aborted(options.name, options.signal);
  const output = await running.lastLines();
  if (running.gone.aborted) {
    const { code, signal } = await running.exited;
    const ending = signal === null ? `exit code ${code}` : `signal ${signal}`;
    throw new LauncherError('StartFailed', `${options.name} ended while starting (${ending}). It wrote:\n${output}`);
  }
  throw new LauncherError(
    'StartFailed',
    `${options.name} did not answer within ${options.timeoutSeconds} s. Look into its log, or allow more time. It wrote:\n${output}`,
  );
}

/** Sends the steps' signals in order until the process has exited. Safe to call twice and after the exit. */
export async function stopProcess(running: RunningProcess, steps: readonly StopStep[]): Promise<Exit> {
  for (const step of steps) {
    running.kill(step.signal);
    const done = AbortSignal.any([running.gone, AbortSignal.timeout(step.patienceSeconds * 1000)]);
    if (!done.aborted)
      await sleep(step.patienceSeconds * 1000 + 100, undefined, { signal: done }).catch(() => undefined);
    if (running.gone.aborted) return running.exited;
  }
  throw new Error(`Process ${running.pid} did not end after ${steps.map((step) => step.signal).join(', ')}.`);
}

/** By now. */
export const hasEnded = ({ exited }: { readonly exited: Promise<unknown> }): Promise<boolean> =>
  Promise.race([exited.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);

/** The error for a start that the caller called off. */
export function aborted(name: string, signal: AbortSignal): LauncherError {
  return new LauncherError('Aborted', `The start of ${name} was called off.`, signal.reason);
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => (child.pid === undefined ? reject(new Error('no pid')) : resolve(child.pid)));
  });
}

async function keepPrevious(logFile: string): Promise<void> {
  try {
    await rename(logFile, `${logFile}.previous`);
  } catch (error) {
    // The first run has no log before it.
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

async function lastLines(logFile: string): Promise<string> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
  return lines.slice(-12).join('\n');
}
