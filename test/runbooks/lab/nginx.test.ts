import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startNginx } from '../../../runbooks/lab/nginx.ts';
import { findNginx } from '../../../runbooks/lab/nginx-binaries.ts';
import { canRun, runCommand } from '../../../runbooks/lab/run-command.ts';
import { nginxIsMissing } from '../../support/nginx.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const missing = await nginxIsMissing();
const debian = await canRun({ command: 'apt-get', args: ['--version'] });
const directory = await temporaryDirectory();

async function namedServer(name: string): Promise<{ readonly address: string; readonly port: number }> {
  const server = createServer((_, response) => response.end(name));
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port }: AddressInfo = Object(server.address());
  return { address: `127.0.0.1:${port}`, port };
}

describe.skipIf(missing)('nginx with the settings that Holdfast ships', () => {
  it('accepts the shipped file as it is', async () => {
    const nginx = await findNginx();
    const args = ['-t', '-p', directory, '-e', 'stderr', '-c', `${process.cwd()}/gateway/deploy/nginx.conf`];
    await expect(runCommand(nginx(args), { timeoutSeconds: 10 })).resolves.toBeDefined();
  });

  it('asks the next gateway when one is gone, and takes other gateways without a restart', async () => {
    const [one, two] = [await namedServer('one'), await namedServer('two')];
    const nginx = await startNginx({
      port: await freePort(),
      upstreams: [`127.0.0.1:${await freePort()}`, one.address],
    });
    onTestFinished(() => nginx.stop());
    const ask = async (): Promise<string> =>
      (await fetch(nginx.url, { method: 'POST', body: '{}', signal: AbortSignal.timeout(5_000) })).text();
    expect([await ask(), await ask(), await ask()]).toEqual(['one', 'one', 'one']);
    await nginx.reload([two.address]);
    expect([await ask(), await ask()]).toEqual(['two', 'two']);
    await expect(nginx.reload(['not a server'])).rejects.toThrow('invalid parameter');
    expect(await ask()).toBe('two');
  });

  it('leaves no process and no file behind', async () => {
    const one = await namedServer('one');
    const nginx = await startNginx({ port: await freePort(), upstreams: [one.address] });
    await nginx.stop();
    await expect(nginx.exited).resolves.toMatchObject({ code: 0 });
    await expect(fetch(nginx.url)).rejects.toThrow('fetch failed');
  });

  it.runIf(debian)(
    'is fetched from the package archive where the machine has none',
    async () => {
      const command = await findNginx({ cacheDirectory: directory, onlyFetched: true });
      const running = await startNginx({ port: await freePort(), upstreams: ['127.0.0.1:9'], command });
      expect((await fetch(running.url)).status).toBe(502);
      await running.stop();
      const [entry] = await readdir(directory);
      expect(await readdir(`${directory}/${entry}`)).not.toContain('downloads');
    },
    30_000,
  );
});
