/**
 * The shortest way for nearly every request to a model: a plain POST to a known path, with a key that is known here. It
 * does what the application would do, without a router, hooks and a parser around it. Whatever is unusual about a request
 * goes the application's way, which also says what is wrong with it; nothing has been taken from the request by then.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../domain/request.ts';
import { type AuthenticationOptions, callerOnConnection, modelRoutes, requireRoute } from './authentication.ts';

/** From here on the request's bytes are whole, and the response is the taker's. */
export type TakeRequest = (
  incoming: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
  caller: Caller,
) => void;

const jsonTypes: ReadonlySet<string> = new Set(['application/json', 'application/json; charset=utf-8']);

export class DirectWay {
  readonly #authentication: AuthenticationOptions;
  readonly #maxRequestBytes: number;
  readonly #routes = new Map<string, TakeRequest>();

  constructor(authentication: AuthenticationOptions, maxRequestBytes: number) {
    this.#authentication = authentication;
    this.#maxRequestBytes = maxRequestBytes;
  }

  /** @param path as the application has it, where it needs a key. */
  add(path: string, take: TakeRequest): void {
    this.#routes.set(path, take);
  }

  /** @returns false when the request must go the application's way. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = request.url ?? '';
    const take = request.method === 'POST' ? this.#routes.get(path) : undefined;
    if (take === undefined || !isPlain(request.headers, this.#maxRequestBytes)) return false;
    const caller = this.#callerOf(request, path);
    if (caller === undefined) return false;
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => take(request, response, joined(pieces), caller));
    return true;
  }

  /** Undefined when there is more to say or to wait for than one answer. */
  #callerOf(request: IncomingMessage, path: string): Caller | undefined {
    try {
      const found = callerOnConnection(request, this.#authentication);
      if (found instanceof Promise) {
        // The application asks again, shares the lookup, and tells what comes of it.
        found.catch(() => undefined);
        return undefined;
      }
      requireRoute(found, path, modelRoutes);
      return found;
    } catch {
      // The application meets the same fault, and answers it.
      return undefined;
    }
  }
}

/** Most bodies come in one piece, which needs no copy. */
const joined = (pieces: readonly Buffer[]): Buffer =>
  pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);

/** Whole, of a known length within the bound, and JSON. */
function isPlain(headers: IncomingHttpHeaders, maxBytes: number): boolean {
  const length = Number(headers['content-length']);
  return (
    length > 0 &&
    length <= maxBytes &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined &&
    jsonTypes.has(headers['content-type'] ?? '')
  );
}
