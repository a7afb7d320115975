import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { packageOfLibrary } from '../../../runbooks/lab/debian-packages.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../../../runbooks/lab/redis.ts';
import { isRunning } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
const servers: RedisServer[] = [];

async function start(options: Partial<RedisOptions> = {}): Promise<RedisServer> {
  const server = await startRedis({ port: await freePort(), ...options });
  servers.push(server);
  return server;
}

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await question(client);
  } finally {
    client.disconnect();
  }
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

describe('a Redis of ours', () => {
  it('answers, takes further options, and leaves no process after stop', async () => {
    const server = await start({ args: ['--maxmemory', '64mb', '--databases', '99'] });
    expect(await ask(server.url, (client) => client.ping())).toBe('PONG');
    expect(await ask(`${server.url}/98`, (client) => client.config('GET', 'maxmemory'))).toEqual([
      'maxmemory',
      '67108864',
    ]);
    await server.stop();
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
  });

  it('asks for its password, which may hold any character', async () => {
    const server = await start({ password: String.raw`a "b\c' d#` });
    expect(await ask(server.url, (client) => client.ping())).toBe('PONG');
    // ioredis begins with HELLO, which is refused, and then reports only that the connection is gone.
    await expect(ask(`redis://127.0.0.1:${server.port}`, (client) => client.ping())).rejects.toThrow('closed');
  });

  it('comes back on the same port after SIGKILL, empty', async () => {
    const first = await start();
    await ask(first.url, (client) => client.set('key', 'value'));
    first.kill('SIGKILL');
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const second = await start({ port: first.port });
    expect(await ask(second.url, (client) => client.get('key'))).toBeNull();
  });

  it('says PortTaken and starts nothing when another program listens there', async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((listening) => {
      other.listen(port, '127.0.0.1', listening);
    });
    await expect(start({ port, directory })).rejects.toMatchObject({ code: 'PortTaken' });
    other.close();
  });

  it('says StartFailed with its own words for an option that it refuses', async () => {
    await expect(start({ args: ['--maxmemory', 'plenty'] })).rejects.toMatchObject({
      code: 'StartFailed',
      message: expect.stringContaining('argument must be a memory value'),
    });
  });
});

describe('Debian’s package of a library', () => {
  it.each([
    ['libjemalloc.so.2', 'libjemalloc2'],
    ['liblzf.so.1', 'liblzf1'],
    ['libssl.so.3', 'libssl3'],
    ['libcrypto.so.3', 'libssl3'],
    ['liblua5.1.so.0', 'liblua5.1-0'],
    ['libhiredis.so.0.14', 'libhiredis0.14'],
    ['libsystemd.so.0', 'libsystemd0'],
  ])('%s is in %s', (library, name) => {
    expect(packageOfLibrary(library)).toBe(name);
  });
});
