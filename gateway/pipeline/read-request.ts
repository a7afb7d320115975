/** From a client's bytes to a `ModelRequest`, or a refusal that names the field. Called before any upstream is. */
import { Refusal } from '../domain/errors.ts';
import { readForm } from '../domain/multipart.ts';
import { type Operation, specOf } from '../domain/operation.ts';
import type { JsonObject, ModelRequest, RequestOverrides } from '../domain/request.ts';
import { readMock } from './read-mock.ts';
import { readFallbacks } from './requested-fallbacks.ts';

export interface RequestHeaders {
  readonly callId: string | undefined;
  readonly timeout: string | undefined;
  readonly numRetries: string | undefined;
  /** `a,b` */
  readonly tags?: string | undefined;
  readonly streamTimeout?: string | undefined;
  /** A JSON object. */
  readonly spendMetadata?: string | undefined;
  readonly customerId?: string | undefined;
  readonly endUserId?: string | undefined;
  readonly redaction?: string | undefined;
  readonly contentType?: string | undefined;
  readonly cacheControl?: string | undefined;
}

const longestCallId = 200;
/** Longer timers would overflow and fire at once. */
const longestTimeoutSeconds = 86_400;

export function readRequest(
  operation: Operation,
  bytes: Buffer,
  headers: RequestHeaders,
  newId: () => string,
  nowMs: number,
  /** The body is in the words of another API than the operation's: what it must hold is not known here. */
  spoken = false,
): ModelRequest {
  const spec = specOf(operation);
  const contentType = spec.takes === 'json' ? 'application/json' : (headers.contentType ?? '');
  const body = spec.takes === 'json' ? parseBody(bytes) : parseForm(bytes, contentType);
  const model = body['model'] ?? spec.defaultModel;
  if (typeof model !== 'string' || model === '') {
    throw invalid('model', `model must be the name of a model, is ${show(model)}; GET /v1/models lists the names`);
  }
  if (spoken) checkRequired(operation, body, '');
  else checkContent(operation, body, '');
  const stream = body['stream'] ?? false;
  if (typeof stream !== 'boolean') throw invalid('stream', `stream must be true or false, is ${show(stream)}`);
  const id = newId();
  const mock = readMock(body);
  const endUser = readEndUser(body, headers);
  const spendMetadata = readSpendMetadata(body, headers.spendMetadata);
  return {
    id,
    callId: headers.callId?.slice(0, longestCallId) || id,
    operation,
    model,
    stream: stream && spec.streams,
    body,
    bytes,
    contentType,
    overrides: readOverrides(
      body,
      headers,
      spoken ? undefined : (changed, where) => checkContent(operation, changed, where),
    ),
    tags: readTags(body, headers.tags),
    ...(endUser === undefined ? undefined : { endUser }),
    ...(spendMetadata === undefined ? undefined : { spendMetadata }),
    ...(headers.redaction === undefined || headers.redaction === 'false' ? undefined : { redacted: true }),
    ...(mock === undefined ? undefined : { mock }),
    ...(headers.cacheControl === undefined ? undefined : { cacheControl: headers.cacheControl }),
    startedAtMs: nowMs,
  };
}

/** @param where the body stands: empty, or the place of a fallback's own. */
function checkContent(operation: Operation, body: JsonObject, where: string): void {
  if (operation === 'chat') checkMessages(body, where);
  checkRequired(operation, body, where);
}

function checkRequired(operation: Operation, body: JsonObject, where: string): void {
  for (const [member, forms] of Object.entries(specOf(operation).required)) checkMember(body, member, forms, where);
}

function checkMessages(body: JsonObject, where: string): void {
  const messages = body['messages'];
  const name = `${where}messages`;
  if (!Array.isArray(messages)) throw invalid(name, `${name} must be a list, is ${typeOf(messages)}`);
  if (messages.length === 0) throw invalid(name, `${name} is empty; send at least one message`);
  for (const [index, message] of messages.entries()) {
    if (!isObject(message) || typeof message['role'] !== 'string') {
      throw invalid(`${name}[${index}]`, `${name}[${index}] must be an object with a role and content`);
    }
  }
}

const formNames = { text: 'text', list: 'a list of texts' } as const;

function checkMember(body: JsonObject, member: string, forms: readonly ('text' | 'list')[], where: string): void {
  const value = body[member];
  const fits =
    (forms.includes('text') && typeof value === 'string' && value !== '') ||
    (forms.includes('list') && Array.isArray(value) && value.length > 0);
  if (fits) return;
  const wanted = forms.map((form) => formNames[form]).join(' or ');
  throw invalid(where + member, `${where}${member} must be ${wanted} and not empty, is ${typeOf(value)}`);
}

/** The fields of a form as the members of a body; a file counts as its presence. */
function parseForm(bytes: Buffer, contentType: string): JsonObject {
  const fields = readForm(bytes, contentType);
  if (fields === undefined) {
    throw invalid(null, 'The body is not a form; send it as multipart/form-data with its boundary');
  }
  return Object.fromEntries([...fields].map(([name, field]) => [name, field.text ?? '(file)']));
}

const noTags: readonly string[] = [];

/** From the header, the body and its metadata, as LiteLLM has them. */
function readTags(body: JsonObject, header: string | undefined): readonly string[] {
  const metadata = body['metadata'];
  const stated = [body['tags'], isObject(metadata) ? metadata['tags'] : undefined].filter((tags) => tags !== undefined);
  if (header === undefined && stated.length === 0) return noTags;
  for (const tags of stated) {
    if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
      throw invalid('tags', `tags must be a list of texts, is ${typeOf(tags)}`);
    }
  }
  const fromHeader = header?.split(',').map((tag) => tag.trim()) ?? [];
  return [...new Set([...fromHeader, ...stated.flat().map(String)])].filter((tag) => tag !== '');
}

function readOverrides(
  body: JsonObject,
  headers: RequestHeaders,
  check: (body: JsonObject, where: string) => void = () => {},
): RequestOverrides {
  const numRetries = readNumber('num_retries', headers.numRetries ?? body['num_retries']);
  const timeoutSeconds = readSeconds('timeout', headers.timeout ?? body['timeout']);
  const streamTimeoutSeconds = readSeconds('stream_timeout', headers.streamTimeout ?? body['stream_timeout']);
  const fallbacks = readFallbacks(body, check);
  const allowedRegion = body['allowed_model_region'] ?? undefined;
  if (allowedRegion !== undefined && (typeof allowedRegion !== 'string' || allowedRegion === '')) {
    throw invalid(
      'allowed_model_region',
      `allowed_model_region must be a region such as eu, is ${show(allowedRegion)}`,
    );
  }
  return {
    ...(allowedRegion === undefined ? {} : { allowedRegions: [allowedRegion] }),
    disableFallbacks: body['disable_fallbacks'] === true,
    ...(numRetries === undefined ? {} : { numRetries }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(streamTimeoutSeconds === undefined ? {} : { streamTimeoutSeconds }),
    ...(fallbacks === undefined ? {} : { fallbacks }),
  };
}

function readSeconds(name: string, value: unknown): number | undefined {
  const seconds = readNumber(name, value);
  if (seconds === 0) throw invalid(name, `${name} must be more than 0 seconds`);
  return seconds === undefined ? undefined : Math.min(seconds, longestTimeoutSeconds);
}

const longestEndUser = 256;

/** Who the caller asks for: the first that is stated, headers before the body, in LiteLLM's order. */
function readEndUser(body: JsonObject, headers: RequestHeaders): string | undefined {
  const stated =
    headers.customerId ??
    headers.endUserId ??
    body['user'] ??
    memberOf(body['litellm_metadata'], 'user') ??
    memberOf(body['metadata'], 'user_id') ??
    body['safety_identifier'];
  const name = typeof stated === 'number' ? String(stated) : stated;
  return typeof name === 'string' && name !== '' ? name.slice(0, longestEndUser) : undefined;
}

const memberOf = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);

/** A row is no place for more. */
const largestSpendMetadata = 8_192;

function readSpendMetadata(body: JsonObject, header: string | undefined): JsonObject | undefined {
  const stated = header === undefined ? memberOf(body['metadata'], 'spend_logs_metadata') : parseHeader(header);
  if (stated === undefined || stated === null) return undefined;
  const name = header === undefined ? 'metadata.spend_logs_metadata' : spendMetadataHeader;
  if (!isObject(stated)) throw invalid(name, `${name} must be a JSON object, is ${typeOf(stated)}`);
  if (JSON.stringify(stated).length > largestSpendMetadata) {
    throw invalid(name, `${name} is larger than ${largestSpendMetadata} characters`);
  }
  return stated;
}

const spendMetadataHeader = 'x-litellm-spend-logs-metadata';

function parseHeader(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(spendMetadataHeader, `${spendMetadataHeader} is not valid JSON`);
  }
}

function readNumber(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number) && number >= 0) return number;
  throw invalid(name, `${name} must be a number of at least 0, is ${show(value)}`);
}

/** @throws Refusal when the bytes are not a JSON object; the message quotes nothing of them. */
export function parseBody(bytes: Buffer): JsonObject {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(null, `The body is not valid JSON: ${withoutContent(error.message)}`);
  }
  if (!isObject(body)) throw invalid(null, 'The body must be a JSON object');
  return body;
}

/** V8 quotes the text around the fault; a prompt has no place in an error message that may be logged. */
const withoutContent = (message: string): string =>
  message.replace(/,? *(\.\.\.)?"[\s\S]*$/, '').replace(/"[\s\S]*"/, '');

const invalid = (param: string | null, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, ...(param === null ? {} : { param }) });

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const show = (value: unknown): string =>
  typeof value === 'string' && value !== '' ? `"${value.slice(0, 40)}"` : typeOf(value);

/** For fields that hold prompts: their content stays out of messages. */
function typeOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return value === '' ? 'empty' : `a ${typeof value}`;
}
