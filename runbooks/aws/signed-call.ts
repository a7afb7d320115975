/** Calls of services that have no client package here: signed, bounded, tried again when AWS says "later". */
import { setTimeout as sleep } from 'node:timers/promises';
import { SignatureV4 } from '@smithy/signature-v4';

export interface SignedCall {
  /** As the signature names it, for example `arc-zonal-shift`. */
  readonly service: string;
  /** First part of the host, where it is another name. */
  readonly host?: string;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Each part encoded. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface SignedAccess {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** As AWS's own clients have it. */
  readonly sha256: ConstructorParameters<typeof SignatureV4>[0]['sha256'];
  readonly maxAttempts: number;
  /** Of one try. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** AWS refused; `name` is its code, as in AWS's own clients. */
export class AwsCallError extends Error {
  readonly status: number;
  /** What a service adds to a code that says too little; undefined = nothing. */
  readonly reason: string | undefined;

  constructor(code: string, message: string, status: number, reason?: string) {
    super(message === '' ? code : `${code}: ${message}`);
    this.name = code;
    this.status = status;
    this.reason = reason;
  }
}

const firstPauseMs = 200;
const longestPauseMs = 10_000;

/** @throws AwsCallError, or the last try's failure */
export async function sendSigned(call: SignedCall, access: SignedAccess): Promise<string> {
  const { maxAttempts, signal } = access;
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(call, access);
    } catch (error) {
      signal.throwIfAborted();
      const isFinal = error instanceof AwsCallError && !mayPass(error);
      if (isFinal || attempt === maxAttempts) throw error;
    }
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
    await sleep(pauseMs, undefined, { signal });
  }
}

const mayPass = ({ name, status }: AwsCallError): boolean =>
  status === 429 ||
  status >= 500 ||
  /^(Throttling|ThrottlingException|TooManyRequests|RequestLimitExceeded)/.test(name);

async function once(call: SignedCall, { region, endpoint, credentials, sha256, timeoutMs, signal }: SignedAccess) {
  const { service, method = 'POST', path = '/', query = {}, body = '' } = call;
  const { protocol, hostname, host } = new URL(endpoint);
  const signer = new SignatureV4({ credentials, region, service, sha256 });
  const request = { method, protocol, hostname, path, query, headers: { ...call.headers, host }, body };
  const { headers } = await signer.sign(request);
  const search = new URLSearchParams(query).toString();
  const response = await fetch(`${protocol}//${host}${path}${search === '' ? '' : `?${search}`}`, {
    method,
    headers,
    ...(method === 'POST' ? { body } : {}),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  const text = await response.text();
  if (response.ok) return text;
  throw refusal(response.status, response.headers.get('x-amzn-errortype'), text);
}

/** Pure. In JSON or XML, as the service speaks. */
export function refusal(status: number, header: string | null, text: string): AwsCallError {
  const [code = `HTTP ${status}`] = [
    header,
    jsonValue(text, '__type'),
    jsonValue(text, 'code'),
    valuesOf(text, 'Code')[0],
  ]
    .filter((found) => found !== null && found !== undefined)
    .map((found) => found.split(':')[0]?.split('#').at(-1) ?? found);
  const message = jsonValue(text, 'message') ?? valuesOf(text, 'Message')[0] ?? '';
  return new AwsCallError(code, message, status, jsonValue(text, 'reason'));
}

const jsonValue = (text: string, name: string): string | undefined =>
  new RegExp(`"${name}"\\s*:\\s*"([^"]*)"`, 'i').exec(text)?.[1];

/** Pure. What stands in every element of this name of an XML answer, in order. */
export const valuesOf = (xml: string, name: string): readonly string[] =>
  [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(([, value = '']) => value);

/** A form, as services of the query protocol take it. */
export const queryCall = (
  service: string,
  host: string,
  version: string,
  fields: Readonly<Record<string, string>>,
): SignedCall => ({
  service,
  host,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ Version: version, ...fields }).toString(),
});

/** An object with the name of the action in a header, as services of the JSON protocol take it. */
export const jsonCall = (service: string, host: string, target: string, body: object): SignedCall => ({
  service,
  host,
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
  body: JSON.stringify(body),
});
