/** Sends for AWS's SDK, which would speak HTTP/2; the recording server does not. */
import { Readable } from 'node:stream';
import type { HttpRequest } from '@smithy/types';

export const overHttp1 = {
  async handle(request: HttpRequest) {
    const { host: _host, ...headers } = request.headers;
    const url = `${request.protocol}//${request.hostname}:${request.port}${request.path}`;
    const answer = await fetch(url, { method: request.method, headers, body: request.body });
    return {
      response: {
        statusCode: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: Readable.from([Buffer.from(await answer.arrayBuffer())]),
      },
    };
  },
};
