/**
 * An object store that exists only here: the part of S3's wire protocol that configuration, claims, archives and journals
 * use, with the conditional writes that other local stand-ins accept and ignore. Paths name the bucket
 * (`http://host:port/bucket/key`); nothing is signed or checked for it.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

export interface StoredObject {
  readonly body: Buffer;
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
  readonly modifiedAt: Date;
}

export interface ObjectStore {
  /** For the client's `endpoint`. */
  readonly url: string;
  readonly port: number;
  /** By `bucket/key`; may be changed. */
  readonly objects: Map<string, StoredObject>;
  close(): Promise<void>;
}

export interface ObjectStoreOptions {
  readonly port?: number;
  readonly host?: string;
  /** Bodies lie there, made when absent, for what would fill the memory in time; the store begins empty all the same. */
  readonly directory?: string;
  /** Told of every object that a client has put, once it lies there. */
  readonly onPut?: (name: string, body: Buffer) => void;
}

/** Puts an object as an operator would, past every condition. */
export function storeObject(objects: Map<string, StoredObject>, name: string, body: Buffer): StoredObject {
  const stored = { body, ...described(body) };
  objects.set(name, stored);
  return stored;
}

/** As with S3's simple uploads, equal contents have equal ETags: a compare-and-swap must not rely on them to differ. */
const described = (body: Buffer): Omit<StoredObject, 'body'> => ({
  size: body.length,
  etag: `"${createHash('md5').update(body).digest('hex')}"`,
  modifiedAt: new Date(),
});

/** The file is whole before the object is there; its name says nothing, since that of an object may be no path. */
function storeFile(objects: Map<string, StoredObject>, name: string, body: Buffer, directory: string): StoredObject {
  const path = join(directory, createHash('sha256').update(name).digest('hex'));
  writeFileSync(path, body, { mode: 0o600 });
  const stored: StoredObject = {
    ...described(body),
    get body() {
      return readFileSync(path);
    },
  };
  objects.set(name, stored);
  return stored;
}

export async function startObjectStore(options: ObjectStoreOptions = {}): Promise<ObjectStore> {
  const objects = new Map<string, StoredObject>();
  if (options.directory !== undefined) mkdirSync(options.directory, { recursive: true });
  const server = createServer((request, response) => {
    void answer(request, response, objects, options).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the object store has no port');
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    objects,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Objects = Map<string, StoredObject>;

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  objects: Objects,
  options: ObjectStoreOptions,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store');
  const name = decodeURIComponent(pathname.slice(1));
  const [bucket = '', ...rest] = name.split('/');
  const isObject = rest.join('/') !== '';
  if (request.method === 'GET' && !isObject) return list(response, objects, bucket, searchParams);
  if (request.method === 'PUT' && !isObject) return end(response, 200);
  if (request.method === 'PUT') return put(request, response, objects, name, options);
  if (request.method === 'GET' || request.method === 'HEAD') return get(request, response, objects.get(name));
  if (request.method !== 'DELETE') {
    return fail(response, 405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.');
  }
  objects.delete(name);
  return end(response, 204);
}

/** The condition is looked at when the whole body has arrived, in one turn with the write: that makes it atomic. */
async function put(
  request: IncomingMessage,
  response: ServerResponse,
  objects: Objects,
  name: string,
  { onPut, directory }: ObjectStoreOptions,
): Promise<void> {
  const body = await bodyOf(request);
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  const found = objects.get(name);
  if (match !== undefined && found === undefined) return fail(response, 404, 'NoSuchKey', 'The key does not exist.');
  const mismatch = match !== undefined && found?.etag !== match;
  if (mismatch || (noneMatch === '*' && found !== undefined)) {
    return fail(response, 412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
  }
  const { etag } =
    directory === undefined ? storeObject(objects, name, body) : storeFile(objects, name, body, directory);
  onPut?.(name, body);
  return end(response, 200, { etag });
}

function get(request: IncomingMessage, response: ServerResponse, found: StoredObject | undefined): void {
  if (found === undefined) return fail(response, 404, 'NoSuchKey', 'The specified key does not exist.');
  const headers = {
    etag: found.etag,
    'last-modified': found.modifiedAt.toUTCString(),
    'content-type': 'binary/octet-stream',
  };
  if (request.headers['if-none-match'] === found.etag) return end(response, 304, headers);
  response.writeHead(200, { ...headers, 'content-length': found.size });
  response.end(request.method === 'HEAD' ? undefined : found.body);
}

const mostListed = 1_000;

/** ListObjectsV2. */
function list(response: ServerResponse, objects: Objects, bucket: string, query: URLSearchParams): void {
  const prefix = `${bucket}/${query.get('prefix') ?? ''}`;
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const keys = [...objects.keys()]
    .filter((name) => name.startsWith(prefix) && name.slice(bucket.length + 1) > after)
    .map((name) => name.slice(bucket.length + 1))
    .toSorted();
  const most = Math.min(Number(query.get('max-keys') ?? mostListed), mostListed);
  const shown = keys.slice(0, most);
  const contents = shown.map((key) => {
    const object = objects.get(`${bucket}/${key}`);
    return `<Contents><Key>${escaped(key)}</Key><LastModified>${object?.modifiedAt.toISOString() ?? ''}</LastModified><ETag>${escaped(object?.etag ?? '')}</ETag><Size>${object?.size ?? 0}</Size></Contents>`;
  });
  const more = keys.length > shown.length;
  const next = more ? `<NextContinuationToken>${escaped(shown.at(-1) ?? '')}</NextContinuationToken>` : '';
  xml(
    response,
    200,
    `<ListBucketResult><Name>${escaped(bucket)}</Name><KeyCount>${shown.length}</KeyCount><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
  );
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece));
  const body = Buffer.concat(pieces);
  return request.headers['content-encoding']?.includes('aws-chunked') === true ? unchunked(body) : body;
}

/** `hex size;chunk-signature=...` CRLF data CRLF, until a chunk of size 0; trailers follow it. */
function unchunked(body: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.toString('latin1', at, lineEnd), 16);
    if (lineEnd === -1 || !(size > 0)) return Buffer.concat(pieces);
    pieces.push(body.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, 'content-length': 0 });
  response.end();
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  xml(response, status, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}

function xml(response: ServerResponse, status: number, body: string): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n${body}`;
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
