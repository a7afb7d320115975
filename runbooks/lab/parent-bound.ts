import type { CommandLine } from './run-command.ts';
import { canRun } from './run-command.ts';

let kernelCanDoIt: Promise<boolean> | undefined;

/**
 * Wraps a program so that the kernel sends it `signal` when the thread that started it dies, even by SIGKILL. Linux
 * only: elsewhere the line comes back as it was, and what is left over is taken over by the next start. The wrapper is
 * replaced by `exec`, so the pid stays. A program that changes its user afterwards loses the bond.
 */
export async function parentBound(line: CommandLine, signal: NodeJS.Signals): Promise<CommandLine> {
  const args = ['--pdeathsig', signal.replace(/^SIG/, ''), '--'];
  // Asked once per process, because it costs a process start.
  kernelCanDoIt ??= canRun({ command: 'setpriv', args: [...args, 'true'] });
  return (await kernelCanDoIt) ? { ...line, command: 'setpriv', args: [...args, line.command, ...line.args] } : line;
}
