/**
 * A server that speaks AWS's protocols for tests: each service is a handler, what no handler answers goes on to moto where
 * there is one. Calls are written down with the right that IAM would ask for, and hand-signed ones are checked as AWS does.
 */
import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AwsAccess } from '../../../runbooks/aws/clients.ts';
import type { Moto } from './moto.ts';
import { AwsRefusal } from './query-protocol.ts';

export interface WireCall {
  /** Whose: tests that prepare something sign with another key than what they test. */
  readonly keyId: string;
  /** As the signature names it. */
  readonly service: string;
  readonly region: string;
  /** Name of the operation; of REST services what they call it in IAM. */
  readonly action: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Of the query protocol. */
  readonly fields: URLSearchParams;
  readonly body: string;
}

export type WireReply =
  | { readonly json: unknown; readonly status?: number }
  | { readonly xml: string; readonly status?: number };

/** `pass` = moto shall answer. */
export type WireAnswer = WireReply | 'pass';

export type WireService = (call: WireCall) => WireAnswer | Promise<WireAnswer>;

export interface Wire {
  readonly access: AwsAccess;
  readonly calls: readonly WireCall[];
  /** Calls that are answered with `Throttling` before the next one passes. */
  throttle(times: number): void;
  close(): Promise<void>;
}

/** Of what is tested. */
export const credentials = { accessKeyId: 'AKIDTEST', secretAccessKey: 'a-secret-of-the-tests' };
/** Their clients are AWS's own, and need no proof. */
const handSigned = new Set(['arc-zonal-shift', 'ec2', 'elasticloadbalancing', 'ecr', 'fis', 'servicequotas']);

export interface WireOptions {
  readonly services: Readonly<Record<string, WireService>>;
  /** What is asked for everything else. */
  readonly moto?: Moto;
}

export async function startWire({ services, moto }: WireOptions): Promise<Wire> {
  const calls: WireCall[] = [];
  let throttled = 0;
  const server = createServer((request, response) => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(Buffer.from(piece));
      const body = Buffer.concat(pieces);
      const call = callOf(request, body.toString());
      if (throttled > 0) {
        throttled--;
        return refuse(response, call, 'Throttling', 'Rate exceeded', 400);
      }
      if (handSigned.has(call.service) && !isSigned(request, body)) {
        return refuse(response, call, 'SignatureDoesNotMatch', 'The signature is not that of the request', 403);
      }
      calls.push(call);
      const answer = (await services[call.service]?.(call)) ?? 'pass';
      if (answer !== 'pass') return send(response, answer);
      if (moto === undefined) return refuse(response, call, 'InvalidAction', `${call.action} is not known here`, 400);
      await pass(request, response, body, moto);
    })().catch((error: unknown) => {
      if (error instanceof AwsRefusal) send(response, refusal(error.code, error.message));
      else response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    access: { endpoint: `http://127.0.0.1:${address.port}`, credentials },
    calls,
    throttle: (times) => {
      throttled = times;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Calls of what is tested. */
export const ownCalls = ({ calls }: Pick<Wire, 'calls'>): readonly WireCall[] =>
  calls.filter(({ keyId }) => keyId === credentials.accessKeyId);

/** For what a test prepares. */
export const preparing = ({ endpoint = '' }: AwsAccess): AwsAccess => ({
  endpoint,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

/** A refusal as the query protocol words it. */
export const refusal = (code: string, message: string, status = 400): WireReply => ({
  xml: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
  status,
});

/** An answer of the query protocol. */
export const result = (action: string, inner: string): WireReply => ({
  xml: `<${action}Response><${action}Result>${inner}</${action}Result></${action}Response>`,
});

function callOf(request: IncomingMessage, body: string): WireCall {
  const scope = /Credential=([^/]+)\/\d+\/([\w-]+)\/([\w-]+)\//.exec(request.headers.authorization ?? '');
  const [, keyId = '', region = 'us-east-1', service = ''] = scope ?? [];
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://here');
  const method = request.method ?? 'GET';
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  const fields = new URLSearchParams(isForm ? body : '');
  const target = request.headers['x-amz-target'];
  const named = typeof target === 'string' ? target.split('.').at(-1) : (fields.get('Action') ?? undefined);
  return {
    keyId,
    service,
    region,
    action: named ?? restAction(service, method, path, query),
    method,
    path,
    query,
    fields,
    body,
  };
}

/** The right that IAM asks for, of the few REST operations that the runbooks use. */
function restAction(service: string, method: string, path: string, query: URLSearchParams): string {
  if (service === 'arc-zonal-shift') {
    if (path.startsWith('/managedresources/')) return 'GetManagedResource';
    return method === 'POST' ? 'StartZonalShift' : method === 'DELETE' ? 'CancelZonalShift' : 'ListZonalShifts';
  }
  if (service === 'fis') {
    if (path.startsWith('/experimentTemplates')) return 'ListExperimentTemplates';
    return method === 'POST' ? 'StartExperiment' : method === 'DELETE' ? 'StopExperiment' : 'ListExperiments';
  }
  if (service === 's3') {
    if (method === 'GET' && query.has('list-type')) return 'ListBucket';
    return method === 'PUT' ? 'PutObject' : method === 'DELETE' ? 'DeleteObject' : 'GetObject';
  }
  if (service === 'eks') {
    if (path.endsWith('/insights')) return 'ListInsights';
    return method === 'POST' ? 'UpdateClusterVersion' : 'DescribeCluster';
  }
  return `${method} ${path}`;
}

function refuse(response: ServerResponse, call: WireCall, code: string, message: string, status: number): void {
  const isXml = call.fields.size > 0;
  send(response, isXml ? refusal(code, message, status) : { json: { __type: code, message }, status });
}

function send(response: ServerResponse, answer: WireReply): void {
  const isJson = 'json' in answer;
  response.writeHead(answer.status ?? 200, { 'content-type': isJson ? 'application/json' : 'text/xml' });
  response.end(isJson ? JSON.stringify(answer.json) : answer.xml);
}

async function pass(request: IncomingMessage, response: ServerResponse, body: Buffer, moto: Moto): Promise<void> {
  const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && !['host', 'connection', 'content-length', 'expect'].includes(name)
      ? [[name, value]]
      : [],
  );
  const method = request.method ?? 'GET';
  const answer = await fetch(new URL(request.url ?? '/', moto.url), {
    method,
    headers: [...headers, ['x-moto-account-id', moto.account]],
    ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
  });
  const passed = [...answer.headers].filter(
    ([name]) =>
      !/^(content-length|connection|content-encoding)$/.test(name) || (method === 'HEAD' && name === 'content-length'),
  );
  response.writeHead(answer.status, Object.fromEntries(passed));
  response.end(Buffer.from(await answer.arrayBuffer()));
}

/**
 * Signature Version 4, written down anew from AWS's description, so that it proves something about the runbooks' signer.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const { authorization = '' } = request.headers;
  const parts =
    /Credential=([^/]+)\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)/.exec(
      authorization,
    );
  const [, keyId, day = '', region = '', service = '', signedHeaders = '', signature] = parts ?? [];
  if (keyId !== credentials.accessKeyId) return false;
  const [path = '/', search = ''] = (request.url ?? '/').split('?');
  const headers = signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const query = search
    .split('&')
    .map((pair) => pair.replaceAll('+', '%20'))
    .toSorted()
    .join('&');
  // Every service but S3 encodes each part of the path once more.
  const uri = path.split('/').map(encodeURIComponent).join('/');
  const canonical = [request.method, uri, query, headers.join(''), signedHeaders, sha256(body)].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', String(request.headers['x-amz-date']), scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (before, part) => createHmac('sha256', before).update(part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  return createHmac('sha256', key).update(text).digest('hex') === signature;
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
