import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type FaultProxy, faultProxy } from './fault-proxy.ts';
import { until } from './processes.ts';

/** A server that sends back what it gets. */
async function echo(): Promise<{ readonly port: number; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { port: address.port, sockets };
}

class Client {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  /** `end`, or the error's code. */
  ending: string | undefined;
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    this.socket.once('end', () => {
      this.ending ??= 'end';
    });
    this.socket.once('error', (error: NodeJS.ErrnoException) => {
      this.ending ??= error.code ?? error.message;
    });
    onTestFinished(() => void this.socket.destroy());
  }
  send(text: string): void {
    this.socket.write(text);
  }
  has(text: string): Promise<void> {
    return until(() => this.received.toString() === text);
  }
  ended(): Promise<void> {
    return until(() => this.ending !== undefined);
  }
}

let server: Awaited<ReturnType<typeof echo>>;
let proxy: FaultProxy;
let client: Client;

beforeEach(async () => {
  server = await echo();
  proxy = await faultProxy({ port: server.port });
  client = new Client(proxy.port);
  onTestFinished(() => proxy.close());
  client.send('before ');
  await client.has('before ');
});

describe('a fault proxy', () => {
  it('passes bytes and their end on, both ways, and counts them', async () => {
    client.socket.end('after');
    await client.has('before after');
    await client.ended();
    expect(client.ending).toBe('end');
    await until(() => proxy.counts().open === 0);
    expect(proxy.counts()).toEqual({ connections: 1, open: 0, bytesUp: 12, bytesDown: 12 });
  });

  it.each(['up', 'down', 'both'] as const)(
    'frozen %s keeps what it gets, and passes it on when healed',
    async (freeze) => {
      await proxy.set({ freeze });
      client.send('kept');
      // A direction that is not frozen shows that time has passed; frozen both ways, a fresh connection does.
      if (freeze === 'down') await until(() => proxy.counts().bytesUp === 11);
      else await once(new Client(proxy.port).socket, 'connect');
      expect(client.received.toString()).toBe('before ');
      expect(proxy.counts().bytesDown).toBe(7);
      await proxy.heal();
      await client.has('before kept');
    },
  );

  it('frozen, lets nobody see that the other side has gone', async () => {
    await proxy.set({ freeze: 'both' });
    for (const socket of server.sockets) socket.resetAndDestroy();
    await until(() => server.sockets.size === 0);
    expect(client.ending).toBeUndefined();
    await proxy.heal();
    await client.ended();
    expect(client.ending).toBe('ECONNRESET');
  });

  it('cuts open connections with a reset, and takes new ones', async () => {
    proxy.cut();
    await client.ended();
    expect(client.ending).toBe('ECONNRESET');
    await until(() => server.sockets.size === 0);
    const next = new Client(proxy.port);
    next.send('again');
    await next.has('again');
  });

  it('refuses new connections, keeps the open one, and takes new ones at the same port again', async () => {
    await proxy.set({ accept: 'refuse' });
    const refused = new Client(proxy.port);
    await refused.ended();
    expect(refused.ending).toBe('ECONNREFUSED');
    client.send('still');
    await client.has('before still');
    await proxy.heal();
    const next = new Client(proxy.port);
    next.send('again');
    await next.has('again');
  });

  it('half open accepts and says nothing, until it is healed: then a connection that nobody knows is reset', async () => {
    await proxy.set({ accept: 'silent' });
    const silent = new Client(proxy.port);
    await once(silent.socket, 'connect');
    silent.send('anybody?');
    client.send('after');
    await client.has('before after');
    expect(silent.received).toHaveLength(0);
    await proxy.heal();
    await until(() => silent.ending === 'ECONNRESET');
    expect(server.sockets.size).toBe(1);
  });

  it('cuts after so many bytes, which arrive', async () => {
    await proxy.set({ cutAfterBytes: 10 });
    client.send('0123456789');
    await client.ended();
    expect(client.received.toString()).toBe('before 012');
    expect(client.ending).toBe('ECONNRESET');
  });

  it('adds latency and jitter in order, and trickles', async () => {
    await proxy.set({ latencyMs: 30, jitterMs: 20 });
    const startedAt = performance.now();
    for (const digit of '0123456789') client.send(digit);
    await client.has('before 0123456789');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
    await proxy.heal();
    await proxy.set({ bytesPerSecond: 1000 });
    const trickleAt = performance.now();
    client.send('x'.repeat(200));
    await until(() => client.received.length === 217);
    expect(performance.now() - trickleAt).toBeGreaterThan(190);
  });
});
