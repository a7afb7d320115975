/** A real HTTP or TCP server that behaves as a test wants, and tells when its connections open and close. */
import { once } from 'node:events';
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface TestUpstream {
  readonly origin: string;
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections so far. */
  connections(): number;
}

/** Ends with the test that calls it. */
export async function serveHttp(listener: RequestListener): Promise<TestUpstream> {
  return listening(createServer({ keepAliveTimeout: 60_000 }, listener));
}

export async function serveTcp(onSocket: (socket: Socket) => void): Promise<TestUpstream> {
  return listening(createTcpServer(onSocket));
}

async function listening(server: Server | HttpServer): Promise<TestUpstream> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { origin: `http://127.0.0.1:${address.port}`, sockets, connections: () => connections };
}
