import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from './error-code.ts';

const execute = promisify(execFile);

/** A program, its arguments and, if it needs one, a whole environment (otherwise it inherits ours). */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a program to its end and returns what it wrote to standard output.
 * @throws when it exits with another code than 0 (the message holds what it wrote), runs out of time, or is aborted.
 */
export async function runCommand(
  line: CommandLine,
  options: { readonly timeoutSeconds: number; readonly signal?: AbortSignal | undefined; readonly directory?: string },
): Promise<string> {
  try {
    const { stdout } = await execute(line.command, line.args, {
      timeout: options.timeoutSeconds * 1000,
      killSignal: 'SIGKILL',
      maxBuffer: 16 * 1024 * 1024,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
      ...(line.environment === undefined ? {} : { env: line.environment }),
    });
    return stdout;
  } catch (error) {
    const reason = `${textOf(error, 'stdout')}${textOf(error, 'stderr')}`.trim() || messageOf(error);
    throw new Error(`${line.command} failed: ${reason.split('\n').slice(-12).join('\n')}`, { cause: error });
  }
}

function textOf(error: unknown, stream: 'stdout' | 'stderr'): string {
  const text = error instanceof Error ? Object.entries(error).find(([name]) => name === stream)?.[1] : undefined;
  return typeof text === 'string' ? text : '';
}

/**
 * True when the program can be run and exits with code 0 within a few seconds.
 * @throws only when aborted, so that an abort is never taken for a program that is missing.
 */
export async function canRun(line: CommandLine, signal?: AbortSignal): Promise<boolean> {
  try {
    await runCommand(line, { timeoutSeconds: 10, signal });
    return true;
  } catch (error) {
    if (signal?.aborted) throw error;
    return false;
  }
}
