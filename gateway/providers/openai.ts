/** OpenAI's wire format: OpenAI itself and everything that is compatible with it. Bytes pass through wherever they can. */
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamError, UpstreamErrorKind } from '../domain/errors.ts';
import { readForm } from '../domain/multipart.ts';
import { specOf } from '../domain/operation.ts';
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import type {
  EventMeaning,
  PassThroughAdapter,
  StreamDecoder,
  UpstreamCall,
  UpstreamResponse,
  WholeReply,
} from './adapter.ts';
import { withoutExtensions } from './extensions.ts';
import { gatewayMembers } from './gateway-members.ts';
import { objectOf } from './json.ts';
import { type ByteSpan, replaceSpan, scanTopLevel, valueAt } from './json-bytes.ts';
import { readUsage } from './openai-usage.ts';
import { PassThroughDecoder } from './pass-through.ts';
import { readRetryAdvice } from './retry-advice.ts';
import { readTranscriptionUsage } from './transcription-usage.ts';
import { kindOfStatus, noAnswer, vendorError } from './vendor-error.ts';

export const openAIAdapter: PassThroughAdapter = {
  toUpstream(request: ModelRequest, deployment: Deployment): UpstreamCall {
    return {
      origin: deployment.origin,
      path: `${deployment.basePath}${specOf(request.operation).path}`,
      headers: { ...deployment.headers, 'content-type': request.contentType },
      body:
        specOf(request.operation).takes === 'json' ? toBody(request, deployment) : toForm(request, deployment.model),
    };
  },

  toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply {
    if (specOf(request.operation).answers === 'anything' && !response.contentType.startsWith('application/json')) {
      return { body: response.body, usage: undefined };
    }
    const isTranscription = request.operation === 'transcriptions';
    const top = scanTopLevel(response.body, isTranscription ? transcriptionMembers : answerMembers);
    if (top === undefined) throw this.classify({ ...response, status: 502 }, deployment);
    const error = top.spans.get('error');
    if (error !== undefined && !isNull(response.body, error)) {
      const stated = parse(response.body.subarray(error.start, error.end));
      throw this.classify({ ...response, status: statusOf(stated) }, deployment);
    }
    const usage = valueAt(response.body, top.spans.get('usage'));
    return {
      body: response.body,
      ...(isTranscription
        ? readTranscriptionUsage(usage, valueAt(response.body, top.spans.get('duration')))
        : { usage: readUsage(usage) }),
      model: top.spans.get('model'),
    };
  },

  classify(response: UpstreamResponse, deployment: Deployment): UpstreamError {
    const parsed = parse(response.body);
    const error = isObject(parsed) && isObject(parsed['error']) ? parsed['error'] : undefined;
    const code = text(error?.['code']);
    const type = text(error?.['type']);
    const param = text(error?.['param']);
    const message =
      text(error?.['message']) ??
      (isObject(parsed) ? (text(parsed['message']) ?? text(parsed['detail']) ?? text(parsed['error'])) : undefined) ??
      noAnswer(response.status);
    return vendorError(
      {
        kind: kindOf(response.status, [code, text(innerErrorOf(error)['code'])], message),
        status: response.status,
        message,
        type,
        param,
        code,
        ...readRetryAdvice(response.headers),
      },
      deployment,
    );
  },

  decoder(request: ModelRequest, deployment: Deployment): StreamDecoder {
    return new PassThroughDecoder(this, request, deployment);
  },

  isRemarkable(event: Buffer): boolean {
    return event.includes(doneMark) || event.includes(errorMark) || hasUsage(event);
  },

  readEvent(event: Buffer, request: ModelRequest, deployment: Deployment): EventMeaning {
    const data = dataOf(event);
    if (data === '[DONE]') return { is: 'end' };
    const parsed = parse(Buffer.from(data));
    if (!isObject(parsed)) return { is: 'content' };
    if (parsed['error'] !== undefined && parsed['error'] !== null) {
      const status = statusOf(parsed['error']);
      const body = Buffer.from(data);
      return {
        is: 'error',
        error: this.classify({ status, contentType: '', headers: {}, body }, deployment),
      };
    }
    const usage = readUsage(parsed['usage']);
    if (usage === undefined) return { is: 'content' };
    const choices = parsed['choices'];
    const onlyUsage = Array.isArray(choices) && choices.length === 0;
    return { is: 'usage', usage, forClient: !onlyUsage || asksForUsage(request.body) };
  },
};

const answerMembers = ['usage', 'error', 'model'];
const transcriptionMembers = [...answerMembers, 'duration'];

const doneMark = Buffer.from('[DONE]');
const errorMark = Buffer.from('"error"');
const usageMark = Buffer.from('"usage"');

/** Whether token counts stand in the bytes; `"usage":null`, which many send with every chunk, does not count. */
function hasUsage(bytes: Buffer): boolean {
  let at = bytes.indexOf(usageMark);
  while (at !== -1) {
    let next = at + usageMark.length;
    while (bytes[next] === 0x20 || bytes[next] === 0x3a) next++;
    if (bytes[next] !== 0x6e) return true;
    at = bytes.indexOf(usageMark, next);
  }
  return false;
}

/** The data lines of one event. */
const dataOf = (event: Buffer): string =>
  event
    .toString()
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trimStart())
    .join('\n')
    .trim();

const asksForUsage = (body: JsonObject): boolean => {
  const options = body['stream_options'];
  return isObject(options) && options['include_usage'] === true;
};

/** The client's bytes with the provider's model name in place, and token counts asked for in streams. */
function toBody(request: ModelRequest, { model, provider, droppedParams }: Deployment): Buffer {
  const askForUsage =
    request.stream &&
    request.operation === 'chat' &&
    !asksForUsage(request.body) &&
    droppedParams?.includes('stream_options') !== true;
  if (request.translated === true && (provider === 'openai' || provider === 'azure')) {
    return Buffer.from(JSON.stringify(rewritten(withoutExtensions(request.body), model, askForUsage)));
  }
  const top = scanTopLevel(request.bytes, ['model']);
  const span = top?.spans.get('model');
  const members = Object.keys(request.body);
  const simple =
    top !== undefined &&
    span !== undefined &&
    // A key that appears twice would mean one thing here and another upstream.
    top.count === members.length &&
    !members.some((member) => gatewayMembers.has(member)) &&
    !(askForUsage && request.body['stream_options'] !== undefined);
  if (!simple) return Buffer.from(JSON.stringify(rewritten(request.body, model, askForUsage)));
  const inserted = askForUsage ? '"stream_options":{"include_usage":true},' : '';
  if (request.body['model'] === model) {
    return inserted === ''
      ? request.bytes
      : spliced(request.bytes, { start: top.bodyStart, end: top.bodyStart }, inserted);
  }
  const renamed = spliced(request.bytes, span, JSON.stringify(model));
  return inserted === '' ? renamed : spliced(renamed, { start: top.bodyStart, end: top.bodyStart }, inserted);
}

/** The client's form with the provider's model name in place; files are sent on as they came. */
function toForm(request: ModelRequest, model: string): Buffer {
  const field = readForm(request.bytes, request.contentType)?.get('model');
  return field === undefined ? request.bytes : spliced(request.bytes, field, model);
}

function rewritten(body: JsonObject, model: string, askForUsage: boolean): JsonObject {
  const kept = Object.fromEntries(Object.entries(body).filter(([member]) => !gatewayMembers.has(member)));
  const options = isObject(body['stream_options']) ? body['stream_options'] : {};
  return { ...kept, model, ...(askForUsage ? { stream_options: { ...options, include_usage: true } } : {}) };
}

const spliced = (bytes: Buffer, span: ByteSpan, text: string): Buffer => replaceSpan(bytes, span, Buffer.from(text));

/** The status behind an error that came with a 200: the one it states, else the one its code has elsewhere. */
function statusOf(error: unknown): number {
  const code = isObject(error) ? error['code'] : undefined;
  const stated = Number(code);
  if (Number.isInteger(stated) && stated >= 400 && stated < 600) return stated;
  return (typeof code === 'string' ? statusOfCode[code] : undefined) ?? 500;
}

const statusOfCode: Readonly<Record<string, number>> = {
  context_length_exceeded: 400,
  content_policy_violation: 400,
  content_filter: 400,
  invalid_api_key: 401,
  model_not_found: 404,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
};

/** Azure's, which has the reason behind the code. https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter */
const innerErrorOf = (error: JsonObject | undefined): JsonObject =>
  objectOf(error?.['innererror'] ?? error?.['inner_error']);

const policyCodes: ReadonlySet<unknown> = new Set([
  'content_policy_violation',
  'content_filter',
  'contentFilter',
  'ResponsibleAIPolicyViolation',
]);

function kindOf(status: number, codes: readonly unknown[], message: string): UpstreamErrorKind {
  if (
    codes.includes('context_length_exceeded') ||
    /maximum context length|context window|prompt is too long/i.test(message)
  ) {
    if (status < 500) return 'context-window';
  }
  if (codes.some((code) => policyCodes.has(code)) || /content management policy/i.test(message)) {
    if (status < 500) return 'content-policy';
  }
  return kindOfStatus(status);
}

const isNull = (bytes: Buffer, span: ByteSpan): boolean => bytes.toString('latin1', span.start, span.end) === 'null';

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    // Not JSON is a fact about the upstream, not a fault here; the caller treats it as "no explanation".
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
