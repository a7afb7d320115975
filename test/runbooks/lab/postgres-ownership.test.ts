import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ownFolder } from '../../../runbooks/lab/folder-owner.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../../runbooks/lab/postgres.ts';
import { chooseRunAs, findPostgres, restoreSymlinks } from '../../../runbooks/lab/postgres-binaries.ts';
import { findPostmaster } from '../../../runbooks/lab/postgres-orphan.ts';
import { isRunning, until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
const started = z.object({ pid: z.int(), url: z.string() });

/** Another process that owns a folder and its server. */
async function otherOwner(dataDirectory: string): Promise<{ owner: ChildProcess; server: z.infer<typeof started> }> {
  const program = new URL('../../support/start-postgres.ts', import.meta.url).pathname;
  const owner = spawn(process.execPath, [program, dataDirectory], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (owner.stdout === null) throw new Error('no standard output');
  const lines = createInterface(owner.stdout);
  const [line] = z.tuple([z.string()]).parse(await once(lines, 'line', { signal: AbortSignal.timeout(20_000) }));
  return { owner, server: started.parse(JSON.parse(line)) };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('a data folder has one owner', () => {
  it('refuses the second starter with DataFolderInUse naming the first, whose server goes on', async () => {
    const dataDirectory = join(directory, 'two-owners');
    const { owner, server } = await otherOwner(dataDirectory);
    await expect(startPostgres({ dataDirectory, port: await freePort() })).rejects.toMatchObject({
      code: 'DataFolderInUse',
      message: expect.stringContaining(`pid ${owner.pid}`),
    });
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await kill(owner);
    const next = await startPostgres({ dataDirectory, port: await freePort() });
    await next.stop();
    expect(isRunning(server.pid)).toBe(false);
  });

  it.runIf(process.platform === 'linux')('ends the server when its owner is killed', async () => {
    const { owner, server } = await otherOwner(join(directory, 'bound'));
    await kill(owner);
    await until(() => !isRunning(server.pid));
  });

  it('takes over a server whose owner is dead, and keeps its data', async () => {
    const dataDirectory = join(directory, 'orphan');
    const first = await startPostgres({ dataDirectory, port: await freePort() });
    await first.stop();
    // As macOS leaves it behind when the owner is killed: it runs, and nobody holds the lock.
    const port = await freePort();
    const settings = ['-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
    const program = join(await findPostgres(), 'postgres');
    const line = (await chooseRunAs()).command(program, ['-D', dataDirectory, ...settings]);
    const orphan = spawn(line.command, line.args, { stdio: 'ignore', detached: true, env: { ...line.environment } });
    const ended = once(orphan, 'exit');
    const url = first.url().replace(String(first.port), String(port));
    await until(() =>
      query(url, 'CREATE TABLE IF NOT EXISTS kept (id int)').then(
        () => true,
        () => false,
      ),
    );
    expect(await findPostmaster(dataDirectory)).toEqual({ is: 'running', pid: orphan.pid });
    const next = await startPostgres({ dataDirectory, port });
    expect(await ended).toEqual([0, null]);
    expect(await query(next.url(), 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);
    await next.stop();
  });

  it('is not misled by a pid that belongs to another program now', async () => {
    const dataDirectory = join(directory, 'foreign');
    const first = await startPostgres({ dataDirectory, port: await freePort() });
    const pidFile = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8');
    await first.stop('immediate');
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    const forged = pidFile.replace(/^\d+/, String(stranger.pid));
    await writeFile(join(dataDirectory, 'postmaster.pid'), forged, { mode: 0o600 });
    expect(await findPostmaster(dataDirectory)).toEqual({ is: 'foreign' });
    const next = await startPostgres({ dataDirectory, port: await freePort() });
    await next.stop();
    expect(stranger.exitCode).toBeNull();
    await kill(stranger);
  });

  it('is free again once released', () => {
    const folder = join(directory, 'released');
    const owner = ownFolder(folder);
    expect(() => ownFolder(folder)).toThrow('in use by another process');
    owner.release();
    owner.release();
    ownFolder(folder).release();
  });
});

describe('the PostgreSQL package', () => {
  it('gets the library links that npm left out, also when two processes make them at once', async () => {
    const original = join(await findPostgres(), '..');
    const copy = join(directory, 'package');
    await cp(original, join(copy, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.includes('/share/') && !path.endsWith('.a'),
    });
    const links = z
      .array(z.object({ target: z.string() }))
      .parse(JSON.parse(await readFile(join(copy, 'native/pg-symlinks.json'), 'utf8')));
    for (const { target } of links) await rm(join(copy, target), { force: true });
    await Promise.all([restoreSymlinks(copy), restoreSymlinks(copy), restoreSymlinks(copy)]);
    expect(links.length).toBeGreaterThan(0);
    for (const { target } of links) {
      expect((await lstat(join(copy, target))).isSymbolicLink(), target).toBe(true);
      await expect(readFile(join(copy, target)), target).resolves.toBeInstanceOf(Buffer);
    }
  });
});
