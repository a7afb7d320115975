import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { hasCode } from './error-code.ts';
import { LauncherError } from './launcher-error.ts';

/** Below the ports that systems give to outgoing connections: one of these could take it before its server starts. */
const firstPort = 10_240;
const lastPort = 32_000;
const mostTries = 50;
/** Never given twice by this process: what was given may not be listened on yet. */
const given = new Set<number>();

/** A port of `host` that nobody listens on now. Another process may take it before you do: be ready for `PortTaken`. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < mostTries; tries++) {
    const port = randomInt(firstPort, lastPort);
    if (given.has(port)) continue;
    try {
      await bindOnce(host, port);
    } catch (error) {
      if (hasCode(error, 'EADDRINUSE') || hasCode(error, 'EACCES')) continue;
      throw error;
    }
    given.add(port);
    return port;
  }
  return bindOnce(host, 0);
}

/**
 * Checks that a server could listen on `port`.
 * @throws LauncherError `PortTaken` naming the port, before anything has been started.
 */
export async function requirePortFree(host: string, port: number): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new LauncherError('BadOption', `Port ${port} is not a port number from 1 to 65535.`);
  }
  try {
    await bindOnce(host, port);
  } catch (error) {
    // An address of another network namespace cannot be tried from here; its server will tell.
    if (hasCode(error, 'EADDRNOTAVAIL')) return;
    throw portTaken(host, port, error);
  }
}

/** The one wording for a port that is in use, whether we found out or the server did. */
export function portTaken(host: string, port: number, cause?: unknown): LauncherError {
  return new LauncherError(
    'PortTaken',
    `Port ${port} on ${host} cannot be listened on: another program uses it. Stop that program or choose another port.`,
    cause,
  );
}

function bindOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}
