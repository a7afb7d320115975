/** A local server that speaks one dialect for real: the official clients talk to it, a canonical answer stands behind it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Dialect, ErrorEnvelope } from '../../../gateway/dialects/dialect.ts';
import { Refusal } from '../../../gateway/domain/errors.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';

/** What the canonical side does with the next request. */
export type Behind =
  | { readonly is: 'whole'; readonly reply: JsonObject }
  /** Blocks of canonical events; `broken` says that the stream does not end properly. */
  | { readonly is: 'stream'; readonly blocks: readonly string[]; readonly broken?: ErrorEnvelope }
  | { readonly is: 'error'; readonly status: number; readonly envelope: ErrorEnvelope };

export class DialectServer implements AsyncDisposable {
  /** Bodies as the client sent them, and what became of them. */
  readonly bodies: JsonObject[] = [];
  readonly chats: JsonObject[] = [];
  readonly url: string;
  behind: Behind = { is: 'whole', reply: {} };
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(dialect: Dialect): Promise<DialectServer> {
    const http = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const { status, type, body } = server.#answer(dialect, Buffer.concat(pieces));
        response.writeHead(status, { 'content-type': type });
        response.end(body);
      });
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const address = http.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    const server = new DialectServer(`http://127.0.0.1:${address.port}`, async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    });
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  #answer(dialect: Dialect, bytes: Buffer): { status: number; type: string; body: Buffer } {
    const body: JsonObject = JSON.parse(bytes.toString());
    this.bodies.push(body);
    try {
      this.chats.push(dialect.toChat(body));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { message, type, param, status } = error;
      const envelope = { message, type, param: param ?? null, code: String(status) };
      return { status, type: 'application/json', body: dialect.fromError(status, envelope) };
    }
    const { behind } = this;
    switch (behind.is) {
      case 'whole':
        return { status: 200, type: 'application/json', body: dialect.fromReply(bytesOf(behind.reply), body) };
      case 'error':
        return {
          status: behind.status,
          type: 'application/json',
          body: dialect.fromError(behind.status, behind.envelope),
        };
      case 'stream':
        return { status: 200, type: 'text/event-stream', body: encoded(dialect, body, behind.blocks, behind.broken) };
    }
  }
}

/** All bytes that a client sees of a stream. */
export function encoded(
  dialect: Dialect,
  body: JsonObject,
  blocks: readonly string[],
  broken?: ErrorEnvelope,
): Buffer<ArrayBuffer> {
  const encoder = dialect.encoder(body);
  const pieces = blocks.map((block) => encoder.push(Buffer.from(block)));
  return Buffer.concat([...pieces, broken === undefined ? encoder.end() : encoder.broken(broken)]);
}

const bytesOf = (value: JsonObject): Buffer => Buffer.from(JSON.stringify(value));
