/** Calls between regions: bounded, signed, tried once. Who calls decides what a failure means. */
import { NotWriter } from '../domain/keys.ts';
import { type PassedOn, type RegionAnswer, WriterUnreachable } from '../domain/region.ts';
import { LogClosed } from '../domain/slices.ts';
import { SpendRefused } from '../domain/spend.ts';
import { type LinkSignature, signatureHeaders } from '../region/signature.ts';

/** Path of the calls of one kind. */
export const linkPath = (call: string): string => `/internal/region/${call}`;

export interface PeerLinkOptions {
  readonly region: string;
  /** Where the gateways of each region listen, without a slash at the end. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly signature: LinkSignature;
  /** Wall clock, milliseconds. */
  readonly wallNow: () => number;
  /** Another region said who writes. */
  readonly onHeard: (epoch: number, writer: string) => void;
}

/** The status of each failure that has a meaning between regions. */
export const linkStatus = { notWriter: 409, logClosed: 410, refused: 422, unavailable: 503 } as const;

const usualTimeoutMs = 5_000;
/** Headers that belong to one connection, or that the next one makes anew. */
const notPassedOn: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'accept-encoding',
  'content-encoding',
  'date',
]);

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #closing = new AbortController();

  constructor(options: PeerLinkOptions) {
    this.#options = options;
  }

  /** Calls that are under way end, and later ones fail. */
  close(): void {
    this.#closing.abort(new Error('the gateway leaves'));
  }

  /** The other regions whose address is known. */
  get others(): string[] {
    return [...this.#options.addresses.keys()].filter((name) => name !== this.#options.region);
  }

  /**
   * @param body the first line is JSON; what follows is the call's own affair.
   * @returns the answer's JSON. @throws NotWriter, LogClosed, SpendRefused, WriterUnreachable.
   */
  async call(to: string, call: string, body: string, timeoutMs = usualTimeoutMs): Promise<unknown> {
    const { region, signature, wallNow } = this.#options;
    const path = linkPath(call);
    const headers = { 'content-type': 'application/json', ...signature.sign(region, path, body, wallNow()) };
    const answer = await this.#send(to, { method: 'POST', path, headers, body: Buffer.from(body) }, timeoutMs);
    const given = answer.headers[signatureHeaders.signature] ?? null;
    if (!signature.verifyAnswer(headers, answer.status, answer.body, given)) {
      throw new WriterUnreachable(`what answers for ${to} is none of our gateways (status ${answer.status})`, true);
    }
    const content: unknown = JSON.parse(answer.body.toString());
    if (answer.status === 200) return content;
    throw this.#failureOf(to, answer.status, content);
  }

  /** A client's request, with the client's own credentials; any status is an answer. @throws WriterUnreachable */
  async passOn(to: string, request: PassedOn, timeoutMs = usualTimeoutMs): Promise<RegionAnswer> {
    return this.#send(to, { ...request, headers: withoutHop(request.headers) }, timeoutMs);
  }

  async #send(to: string, request: PassedOn, timeoutMs: number): Promise<RegionAnswer> {
    const address = this.#options.addresses.get(to);
    if (address === undefined) throw new WriterUnreachable(`the address of ${to} is not known here`, false);
    try {
      const response = await fetch(`${address}${request.path}`, {
        method: request.method,
        headers: { ...request.headers },
        // A redirect would carry credentials to another host.
        redirect: 'manual',
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]),
        ...(request.body === undefined ? {} : { body: new Uint8Array(request.body) }),
      });
      const body = Buffer.from(await response.arrayBuffer());
      return { status: response.status, headers: withoutHop(Object.fromEntries(response.headers)), body };
    } catch (error) {
      throw new WriterUnreachable(`${to} did not answer: ${reasonOf(error)}`, !neverLeft(error), error);
    }
  }

  #failureOf(to: string, status: number, content: unknown): Error {
    const { message, epoch, writer } = fieldsOf(content);
    if (status === linkStatus.notWriter) {
      if (epoch !== undefined && writer !== undefined) this.#options.onHeard(epoch, writer);
      return new NotWriter('another-epoch', new Error(`${to} is not the writer`));
    }
    if (status === linkStatus.logClosed) return new LogClosed(new Error(message));
    if (status === linkStatus.refused) return new SpendRefused(new Error(message));
    return new WriterUnreachable(`${to} cannot answer now: ${message}`, true);
  }
}

const withoutHop = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !notPassedOn.has(name)));

function fieldsOf(content: unknown): { message: string; epoch?: number; writer?: string } {
  if (typeof content !== 'object' || content === null) return { message: '' };
  const [message, epoch, writer] = ['message', 'epoch', 'writer'].map((name): unknown => Reflect.get(content, name));
  return {
    message: typeof message === 'string' ? message : '',
    ...(typeof epoch === 'number' ? { epoch } : {}),
    ...(typeof writer === 'string' ? { writer } : {}),
  };
}

/** Failures from before the first byte could have been sent. */
const unsent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const neverLeft = (error: unknown): boolean => unsent.has(causeCode(error));

const reasonOf = (error: unknown): string =>
  causeCode(error) || (error instanceof Error ? error.message : String(error));

/** Node's fetch hides why behind "fetch failed". */
function causeCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}
