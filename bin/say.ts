/** Words for the person at the terminal. */
export const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/** One clear error on standard error. @returns the exit code, for `return fail(...)`. */
export function fail(message: string, exitCode: number): number {
  process.stderr.write(`${message}\n`);
  return exitCode;
}
