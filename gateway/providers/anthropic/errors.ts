/** Anthropic's errors, with their own status or inside of a stream. https://platform.claude.com/docs/en/api/errors */
import type { Deployment } from '../../domain/deployment.ts';
import type { UpstreamError, UpstreamErrorKind } from '../../domain/errors.ts';
import type { UpstreamResponse } from '../adapter.ts';
import { objectOf, parseJson, textOf } from '../json.ts';
import { type RetryAdvice, readRetryAdvice } from '../retry-advice.ts';
import { kindOfStatus, noAnswer, vendorError } from '../vendor-error.ts';

/** In a stream the type stands for the status. */
const statusOfType: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

export function classify(response: UpstreamResponse, deployment: Deployment): UpstreamError {
  const body = objectOf(parseJson(response.body.toString()));
  return fromError(body['error'] ?? body, response.status, deployment, readRetryAdvice(response.headers));
}

/** @param error the object with `type` and `message`. */
export function fromStream(error: unknown, deployment: Deployment): UpstreamError {
  const type = textOf(objectOf(error)['type']) ?? '';
  return fromError(error, statusOfType[type] ?? 500, deployment, {});
}

function fromError(error: unknown, status: number, deployment: Deployment, advice: RetryAdvice): UpstreamError {
  const stated = objectOf(error);
  const type = textOf(stated['type']);
  const message = textOf(stated['message']) ?? textOf(error) ?? noAnswer(status);
  const code = textOf(objectOf(stated['details'])['error_code']);
  return vendorError({ kind: kindOf(status, type, message), status, message, type, code, ...advice }, deployment);
}

function kindOf(status: number, type: string | undefined, message: string): UpstreamErrorKind {
  if (status === 400 || status === 413) {
    if (
      /prompt is too long|exceeds? (the )?(model's )?(context|maximum context)|context (window|limit|length)/i.test(
        message,
      )
    ) {
      return 'context-window';
    }
    if (/content filtering policy|usage policy|safety/i.test(message)) return 'content-policy';
    // Said with 400; the account cannot pay, and the same request may succeed with another one.
    if (/credit balance is too low/i.test(message)) return 'authentication';
  }
  return kindOfStatus(type === undefined ? status : (statusOfType[type] ?? status));
}
