/** A server that keeps what it was sent and answers what a test wants: official SDKs are pointed at it. */
import type { IncomingHttpHeaders } from 'node:http';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { serveHttp } from '../upstream-server.ts';

export interface Recorded {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: JsonObject;
}

export interface CannedAnswer {
  readonly status?: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Buffer | string | object;
}

/** Ends with the test. */
export async function recordingServer(answer: CannedAnswer): Promise<{ origin: string; requests: Recorded[] }> {
  const requests: Recorded[] = [];
  const server = await serveHttp((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body: JsonObject = JSON.parse(Buffer.concat(pieces).toString() || '{}');
      requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
      response.writeHead(answer.status ?? 200, {
        'content-type': answer.contentType ?? 'application/json',
        ...answer.headers,
      });
      const isBytes = typeof answer.body === 'string' || Buffer.isBuffer(answer.body);
      response.end(isBytes ? answer.body : JSON.stringify(answer.body));
    });
  });
  return { origin: server.origin, requests };
}

/** The events of a fixture as bytes; each is named by its `type` where it has one. */
export const eventStream = (events: readonly { readonly type?: string }[]): Buffer =>
  Buffer.from(
    events
      .map((event) => `${event.type === undefined ? '' : `event: ${event.type}\n`}data: ${JSON.stringify(event)}\n\n`)
      .join(''),
  );
