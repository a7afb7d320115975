/** An upstream that keeps what it was sent and answers what a test says, for whole test files. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';

export interface Received {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** Empty when the bytes are no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
}

export type Behaviour = (request: Received, response: ServerResponse) => void;

export interface Recorder {
  /** Without a path. */
  readonly origin: string;
  readonly requests: Received[];
  /** What it does with every request from now on. */
  behave: Behaviour;
  last(): Received;
  close(): Promise<void>;
}

export async function startRecorder(behave: Behaviour, atPort = 0): Promise<Recorder> {
  const requests: Received[] = [];
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const bytes = Buffer.concat(pieces);
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, bytes, body: parsed(bytes) };
      requests.push(request);
      recorder.behave(request, response);
    });
  });
  server.listen(atPort, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const recorder: Recorder = {
    origin: `http://127.0.0.1:${port}`,
    requests,
    behave,
    last: () => {
      const request = requests.at(-1);
      if (request === undefined) throw new Error('nothing arrived upstream');
      return request;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return recorder;
}

function parsed(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** Answers with JSON. */
export const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

/** Answers with a whole event stream, or one that is cut off behind its last byte. */
export const events =
  (text: string, cut = false): Behaviour =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(text);
    if (cut) setTimeout(() => response.destroy(), 20);
    else response.end();
  };

/** Events that are named by their type. */
export const named = (...list: readonly { readonly type: string; readonly [member: string]: unknown }[]): string =>
  list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
