/** The one HTTP server of a process. It outlives every configuration; who answers a request is decided for each. */
import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { listenerKeepAliveSeconds } from './contract.ts';

/** A client that sends its request slower than this is cut off. */
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;
const timeoutCheckMs = 5_000;

/** Not listening yet. */
export function openListener(handle: RequestListener): Server {
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: listenerKeepAliveSeconds * 1000,
      connectionsCheckingInterval: timeoutCheckMs,
    },
    handle,
  );
  server.on('clientError', answerClientError);
  return server;
}

/** @returns the port. @throws the system's error, for example EADDRINUSE. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.removeListener('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** What cannot be read as HTTP never becomes a request; there is nobody but us to answer it. */
function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusOf(error.code);
  const body = JSON.stringify({
    error: { message: STATUS_CODES[status], type: 'invalid_request_error', code: `${status}` },
  });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function statusOf(code: string | undefined): 400 | 408 | 431 {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
}
