import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, type RunningProcess, stopProcess, waitUntilReady } from '../../../runbooks/lab/child-process.ts';
import { messageOf } from '../../../runbooks/lab/error-code.ts';
import { makeNamespaces, type NamespacedNetworks } from '../../../runbooks/lab/region-network.ts';
import { canRun, runCommand } from '../../../runbooks/lab/run-command.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Undefined where they cannot be made: the lab is on loopback there. */
const made = await makeNamespaces().catch((error: unknown) => {
  process.stdout.write(`skipped: ${messageOf(error)}\n`);
  return undefined;
});
const port = 8_080;
const server = `require('node:http').createServer((_, response) => response.end('here')).listen(${port}, '0.0.0.0')`;
let running: RunningProcess | undefined;

beforeAll(async () => {
  if (made === undefined) return;
  const line = made.networks.a.enter({ command: process.execPath, args: ['-e', server] });
  const logFile = join(await temporaryDirectory(), 'server.log');
  running = await launch({ ...line, logFile, signalAtParentExit: 'SIGKILL' });
  const isReady = (): Promise<boolean> => hears(made, 'outside');
  await waitUntilReady(running, { name: 'the server in a', isReady, timeoutSeconds: 10 });
});
afterAll(async () => {
  if (running !== undefined) await stopProcess(running, [{ signal: 'SIGKILL', patienceSeconds: 5 }]);
  await made?.remove();
});

/** Whether a server in a is heard from there. */
async function hears({ networks }: NamespacedNetworks, from: 'outside' | 'b'): Promise<boolean> {
  const question = `fetch('http://${networks.a.inside}:${port}', { signal: AbortSignal.timeout(500) }).then(() => process.exit(0), () => process.exit(1))`;
  const line = { command: process.execPath, args: ['-e', question] };
  return canRun(from === 'b' ? networks.b.enter(line) : line);
}

describe.runIf(made !== undefined)('regions in network namespaces', () => {
  it('hear the machine that they stand on and not each other, until the cable is pulled', async () => {
    if (made === undefined) return;
    expect(await hears(made, 'outside')).toBe(true);
    expect(await hears(made, 'b')).toBe(false);
    await made.networks.a.pullCable();
    expect(await hears(made, 'outside')).toBe(false);
    await made.networks.a.plugCable();
    await expect.poll(() => hears(made, 'outside'), { timeout: 10_000 }).toBe(true);
  });

  it('leave nothing', async () => {
    await made?.remove();
    expect(await runCommand({ command: 'ip', args: ['netns', 'list'] }, { timeoutSeconds: 5 })).not.toContain(
      `holdfast-${process.pid}-`,
    );
    expect(await runCommand({ command: 'ip', args: ['-o', 'link'] }, { timeoutSeconds: 5 })).not.toMatch(
      new RegExp(`hf[bc]${process.pid}[ab]`),
    );
  });
});
