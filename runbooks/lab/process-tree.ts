/** Signals for a server and all its processes: PostgreSQL's backends are in sessions of their own. */
import { runCommand } from './run-command.ts';

/** SIGSTOP parents first, so that none can make a child that is missed. Processes that have gone are passed over. */
export async function signalTree(pid: number, signal: NodeJS.Signals): Promise<void> {
  const table = await runCommand({ command: 'ps', args: ['-eo', 'pid=,ppid='] }, { timeoutSeconds: 5 });
  const children = new Map<number, number[]>();
  for (const line of table.split('\n')) {
    const [child = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const tree = [pid];
  for (const one of tree) tree.push(...(children.get(one) ?? []));
  for (const one of tree) {
    try {
      process.kill(one, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}
