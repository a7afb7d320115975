/** Clients of the Responses API at OpenAI and Azure. https://platform.openai.com/docs/api-reference/responses */
import type { Deployment } from '../../domain/deployment.ts';
import type { UpstreamError } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/request.ts';
import { printResponseId, readResponseId } from '../../domain/response-id.ts';
import type { NativeAdapter, UpstreamResponse } from '../adapter.ts';
import { isObject, objectOf, parseJson, textOf } from '../json.ts';
import { type ByteSpan, scanTopLevel, valueAt } from '../json-bytes.ts';
import { brokenStream } from '../vendor-error.ts';
import { nativeBody, spliced } from './body.ts';
import { decipherable } from './proofs.ts';
import { readUsage } from './responses-usage.ts';
import { type NativeRules, NativeStream, type Reading } from './stream.ts';

type Classify = (response: UpstreamResponse, deployment: Deployment) => UpstreamError;

/** @param pathOf the endpoint at the deployment. @param classify the provider's own reading of errors. */
export const nativeResponses = (pathOf: (deployment: Deployment) => string, classify: Classify): NativeAdapter => ({
  toUpstream(request, deployment) {
    const previous = textOf(request.body['previous_response_id']);
    const address = previous === undefined ? undefined : readResponseId(previous);
    return {
      origin: deployment.origin,
      path: pathOf(deployment),
      headers: { ...request.spoken?.headers, ...deployment.headers, 'content-type': 'application/json' },
      body: nativeBody(
        decipherable(request),
        deployment.model,
        withoutTags,
        address === undefined ? {} : { previous_response_id: address.id },
      ),
    };
  },

  toReply(response, _request, deployment) {
    const top = scanTopLevel(response.body, ['id', 'error', 'usage']);
    if (top === undefined) throw brokenStream('the answer is no Response', deployment);
    const error = valueAt(response.body, top.spans.get('error'));
    if (isObject(error)) throw failure(error, deployment, classify);
    return {
      body: addressed(response.body, deployment),
      usage: readUsage(valueAt(response.body, top.spans.get('usage'))),
    };
  },

  decoder: (_request, deployment) => new NativeStream(responseEvents(classify), deployment),

  kept: {
    toUpstream({ method, suffix, query }, id, deployment) {
      const [path = '', version] = pathOf(deployment).split('?');
      const asked = [version, query.slice(1)].filter((part) => part !== undefined && part !== '').join('&');
      return {
        origin: deployment.origin,
        path: `${path}/${encodeURIComponent(id)}${suffix}${asked === '' ? '' : `?${asked}`}`,
        headers: deployment.headers,
        body: Buffer.alloc(0),
        ...(method === 'POST' ? {} : { method }),
      };
    },
    toClient: addressed,
  },
});

/** OpenAI takes texts only; these are the gateway's. */
const withoutTags = (metadata: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== 'tags'));

/** A Response whose ids tell the deployment that keeps it; bytes that are none come back as they are. */
export function addressed(response: Buffer, { id: deploymentId }: Deployment): Buffer {
  const top = scanTopLevel(response, ['id', 'previous_response_id']);
  if (top === undefined) return response;
  const changes = Object.fromEntries(
    [...top.spans].flatMap(([name, span]) => {
      const id = valueAt(response, span);
      return typeof id === 'string' && id !== '' ? [[name, printResponseId({ deploymentId, id })]] : [];
    }),
  );
  return spliced(response, top.spans, changes);
}

/** Events that hold a Response, or an error. Text of an answer cannot look so: a quote in it is escaped. */
const marks = ['"response"', '"error"'].map((mark) => Buffer.from(mark));

const responseEvents = (classify: Classify): NativeRules => ({
  isRemarkable: (block) => marks.some((mark) => block.includes(mark)),

  read(event, data, deployment): Reading {
    const top = scanTopLevel(data, ['type', 'response', 'usage']);
    if (top === undefined) {
      // `[DONE]` of servers that say it here, too.
      return data.length === 0 || data.toString().trim() === '[DONE]'
        ? { opening: true }
        : { error: brokenStream('an event of the stream is not JSON', deployment) };
    }
    const type = valueAt(data, top.spans.get('type'));
    const span = top.spans.get('response');
    switch (type) {
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return { opening: true, bytes: readdressed(event, data, span, deployment) };
      case 'response.completed':
      case 'response.incomplete': {
        const usage = readUsage(usageIn(data, span));
        return { last: true, bytes: readdressed(event, data, span, deployment), ...(usage && { usage }) };
      }
      case 'response.failed': {
        const response = objectOf(valueAt(data, span));
        const usage = readUsage(response['usage']);
        return {
          shown: true,
          bytes: readdressed(event, data, span, deployment),
          error: failure(objectOf(response['error']), deployment, classify),
          ...(usage && { usage }),
        };
      }
      case 'error': {
        // Flat by the reference, nested in practice.
        const stated = objectOf(parseJson(data.toString()));
        return { error: failure(isObject(stated['error']) ? stated['error'] : stated, deployment, classify) };
      }
      default:
        return {};
    }
  },
});

/** The event with the ids in its Response replaced. */
function readdressed(event: Buffer, data: Buffer, span: ByteSpan | undefined, deployment: Deployment): Buffer {
  if (span === undefined) return event;
  const name = /^event:.*$/m.exec(event.toString('latin1', 0, Math.max(0, event.indexOf('data:'))))?.[0];
  return Buffer.concat([
    Buffer.from(name === undefined ? 'data:' : `${name.trimEnd()}\ndata:`),
    data.subarray(0, span.start),
    addressed(data.subarray(span.start, span.end), deployment),
    data.subarray(span.end),
    blankLine,
  ]);
}

const blankLine = Buffer.from('\n\n');

/** Token counts of the Response in an event, without reading the answer that stands in it. */
function usageIn(data: Buffer, span: ByteSpan | undefined): unknown {
  if (span === undefined) return undefined;
  const response = data.subarray(span.start, span.end);
  return valueAt(response, scanTopLevel(response, ['usage'])?.spans.get('usage'));
}

/** Codes of an answer that failed, as the statuses that they have elsewhere. */
const statusOfCode: Readonly<Record<string, number>> = {
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  server_error: 500,
  vector_store_timeout: 504,
  context_length_exceeded: 400,
  invalid_prompt: 400,
  bio_policy: 400,
  cyber_policy: 400,
};

function failure(error: JsonObject, deployment: Deployment, classify: Classify): UpstreamError {
  const code = textOf(error['code']);
  const status = (code === undefined ? undefined : statusOfCode[code]) ?? (isImageFault(code) ? 400 : 500);
  const body = Buffer.from(JSON.stringify({ error }));
  return classify({ status, contentType: 'application/json', headers: {}, body }, deployment);
}

/** `invalid_image`, `image_too_large` and a dozen more: what the client sent cannot be used. */
const isImageFault = (code: string | undefined): boolean => code?.includes('image') === true;
