import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type PostgresOptions, type PostgresServer, startPostgres } from '../../../runbooks/lab/postgres.ts';
import { isRunning, until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
const servers: PostgresServer[] = [];
let folders = 0;
const newFolder = (): string => join(directory, `cluster-${(folders += 1)}`);

async function start(options: Partial<PostgresOptions> & { dataDirectory: string }): Promise<PostgresServer> {
  const server = await startPostgres({ port: await freePort(), ...options });
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop('immediate');
});

describe('a PostgreSQL of ours', () => {
  it('keeps acknowledged data through SIGKILL under work and a restart at once', async () => {
    const dataDirectory = newFolder();
    const first = await start({ dataDirectory });
    await query(first.url(), 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id');
    const open = new Client({ connectionString: first.url() });
    open.on('error', () => undefined);
    await open.connect();
    // Busy when its server dies: it goes on computing, and holds the shared memory.
    const busy = open.query('SELECT count(*) FROM generate_series(1, 1000000000)').catch(() => 'broken');
    await until(async () => {
      const rows = await query(
        first.url(),
        `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%1000000000)' AND state = 'active'`,
      );
      return rows.length > 0;
    });
    first.kill('SIGKILL');
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const second = await start({ dataDirectory });
    expect(await busy).toBe('broken');
    expect(await query(second.url(), 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 1000 }]);
  });

  it('is PostgreSQL 18 that listens on loopback, asks for a password, and sorts alike on every machine', async () => {
    const server = await start({ dataDirectory: newFolder(), settings: { max_connections: '7' } });
    const [row] = await query(
      server.url(),
      `SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('listen_addresses') AS host,
              current_setting('max_connections') AS connections, current_setting('data_checksums') AS checksums,
              (SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres') AS locale`,
    );
    expect(row).toEqual({ version: 18, host: '127.0.0.1', connections: '7', checksums: 'on', locale: 'bC.UTF-8' });
    const wrong = new URL(server.url());
    wrong.password = 'guess';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
  });

  it('leaves no process and no lock after stop, and a second stop does nothing', async () => {
    const dataDirectory = newFolder();
    const server = await start({ dataDirectory });
    await server.stop();
    await server.stop();
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(isRunning(server.pid)).toBe(false);
    await (await start({ dataDirectory })).stop();
  });

  it('keeps its password in a file that only its owner reads', async () => {
    const dataDirectory = newFolder();
    await (await start({ dataDirectory, password: 'chosen' })).stop();
    expect((await stat(join(dataDirectory, 'holdfast-password'))).mode & 0o777).toBe(0o600);
    const restarted = await start({ dataDirectory });
    expect(new URL(restarted.url()).password).toBe('chosen');
    await restarted.stop();
    await expect(start({ dataDirectory, password: 'another' })).rejects.toMatchObject({ code: 'WrongPassword' });
  });

  it('goes on where a kill in the middle of making the cluster left a part of it', async () => {
    const dataDirectory = newFolder();
    await mkdir(`${dataDirectory}.unfinished-1-dead/data`, { recursive: true });
    await start({ dataDirectory });
    expect((await readdir(directory)).filter((name) => name.includes('unfinished'))).toEqual([]);
  });
});

describe('a start that cannot work says why and leaves nothing behind', () => {
  it('PortTaken when another program listens on the port', async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((listening) => {
      other.listen(port, '127.0.0.1', listening);
    });
    const dataDirectory = newFolder();
    await expect(start({ dataDirectory, port })).rejects.toMatchObject({
      code: 'PortTaken',
      message: expect.stringContaining(String(port)),
    });
    expect(await readdir(dataDirectory)).not.toContain('postmaster.pid');
    await new Promise((closed) => {
      other.close(closed);
    });
    await start({ dataDirectory, port });
  });

  it('DataFolderUnusable for a folder with other things in it, which stay', async () => {
    const dataDirectory = newFolder();
    await mkdir(dataDirectory);
    await writeFile(join(dataDirectory, 'thesis.txt'), 'only copy');
    await expect(start({ dataDirectory })).rejects.toMatchObject({ code: 'DataFolderUnusable' });
    expect(await readdir(dataDirectory)).toEqual(['thesis.txt']);
  });

  it('StartFailed with the server’s own words for a setting that it refuses', async () => {
    const dataDirectory = newFolder();
    await expect(start({ dataDirectory, settings: { shared_buffers: 'plenty' } })).rejects.toMatchObject({
      code: 'StartFailed',
      message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
    });
    await start({ dataDirectory });
  });

  it('BadOption for an address that the network could reach', async () => {
    const refused = start({ dataDirectory: newFolder(), host: '0.0.0.0' });
    await expect(refused).rejects.toMatchObject({ code: 'BadOption' });
  });

  it('Aborted when the caller calls it off, at any moment', async () => {
    const dataDirectory = newFolder();
    for (const afterMs of [0, 30, 150, 400, 500, 550]) {
      await start({ dataDirectory, signal: AbortSignal.timeout(afterMs) }).then(
        (server) => server.stop(),
        (error: unknown) => expect(error).toMatchObject({ code: 'Aborted' }),
      );
      expect((await readdir(directory)).filter((name) => name.includes('unfinished'))).toEqual([]);
    }
    await start({ dataDirectory });
  });
});
