/** Gemini's errors, with their own status or inside of a stream. https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors */
import type { Deployment } from '../../domain/deployment.ts';
import type { UpstreamError, UpstreamErrorKind } from '../../domain/errors.ts';
import type { UpstreamResponse } from '../adapter.ts';
import { listOf, objectOf, objectsOf, parseJson, textOf } from '../json.ts';
import { type RetryAdvice, readRetryAdvice } from '../retry-advice.ts';
import { kindOfStatus, noAnswer, vendorError } from '../vendor-error.ts';

export function classify(response: UpstreamResponse, deployment: Deployment): UpstreamError {
  const body = parseJson(response.body.toString());
  // Streams that are no event streams answer with a list.
  const error = objectOf(listOf(body)[0] ?? body)['error'];
  return fromError(error, response.status, deployment, readRetryAdvice(response.headers));
}

/** @param error the object with `code`, `message` and `status`, which came with a 200. */
export function fromStream(error: unknown, deployment: Deployment): UpstreamError {
  const code = Number(objectOf(error)['code']);
  return fromError(error, Number.isInteger(code) && code >= 400 && code < 600 ? code : 500, deployment, {});
}

/** Nothing was answered because of what was asked: OpenAI makes an error of it, and so does this. */
export function blocked(feedback: unknown, deployment: Deployment): UpstreamError | undefined {
  const reason = textOf(objectOf(feedback)['blockReason']);
  if (reason === undefined) return undefined;
  const message = textOf(objectOf(feedback)['blockReasonMessage']) ?? `the prompt was blocked (${reason})`;
  return vendorError(
    { kind: 'content-policy', status: 400, message, type: reason, code: 'content_filter' },
    deployment,
  );
}

function fromError(error: unknown, status: number, deployment: Deployment, advice: RetryAdvice): UpstreamError {
  const stated = objectOf(error);
  const type = textOf(stated['status']);
  const message = textOf(stated['message']) ?? textOf(error) ?? noAnswer(status);
  const details = objectsOf(stated['details']);
  const reason = details.map((detail) => textOf(detail['reason'])).find((text) => text !== undefined);
  return vendorError(
    {
      kind: kindOf(status, type, reason, message),
      status,
      message,
      type,
      code: reason,
      ...advice,
      retryAfterSeconds: advice.retryAfterSeconds ?? retryDelayOf(details),
    },
    deployment,
  );
}

/** `google.rpc.RetryInfo`: `"retryDelay": "34.07s"`. */
function retryDelayOf(details: readonly Readonly<Record<string, unknown>>[]): number | undefined {
  const delay = details.map((detail) => textOf(detail['retryDelay'])).find((text) => text !== undefined);
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(delay ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

function kindOf(
  status: number,
  type: string | undefined,
  reason: string | undefined,
  message: string,
): UpstreamErrorKind {
  if (status === 400) {
    if (/token count.*exceeds|exceeds the maximum (number of )?tokens|context (window|length)/i.test(message)) {
      return 'context-window';
    }
    // Said with 400, but it is the account's key, country or billing, and the same request may succeed with another one.
    if (reason === 'API_KEY_INVALID' || type === 'FAILED_PRECONDITION' || /api key/i.test(message))
      return 'authentication';
    if (/safety|prohibited|blocked/i.test(message)) return 'content-policy';
  }
  // The call was cancelled there.
  return status === 499 ? 'unavailable' : kindOfStatus(status);
}
