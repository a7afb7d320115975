/** Bedrock's exceptions, with their own status or inside of a stream. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors */
import type { Deployment } from '../../domain/deployment.ts';
import type { UpstreamError, UpstreamErrorKind } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/request.ts';
import type { UpstreamResponse } from '../adapter.ts';
import { objectOf, parseJson, textOf } from '../json.ts';
import { headerOf, readRetryAdvice } from '../retry-advice.ts';
import { kindOfStatus, noAnswer, vendorError } from '../vendor-error.ts';

/** In a stream the exception's name stands for the status. Names come with a small first letter there. */
const statusOfException: Readonly<Record<string, number>> = {
  validationexception: 400,
  servicequotaexceededexception: 400,
  accessdeniedexception: 403,
  expiredtokenexception: 403,
  unrecognizedclientexception: 403,
  resourcenotfoundexception: 404,
  modeltimeoutexception: 408,
  conflictexception: 409,
  modelerrorexception: 424,
  modelstreamerrorexception: 424,
  throttlingexception: 429,
  modelnotreadyexception: 429,
  internalserverexception: 500,
  serviceunavailableexception: 503,
};

export function classify(response: UpstreamResponse, deployment: Deployment): UpstreamError {
  const body = objectOf(parseJson(response.body.toString()));
  const type = typeOf(response, body);
  const message = messageOf(body) ?? (type === '' ? noAnswer(response.status) : type);
  const kind = kindOf(statusOfException[type.toLowerCase()] ?? response.status, type, message);
  const advice = readRetryAdvice(response.headers);
  return vendorError({ kind, status: response.status, message, type: textOf(type), ...advice }, deployment);
}

/** An exception that came with a 200; undefined when there is none. */
export function statedError(response: UpstreamResponse, deployment: Deployment): UpstreamError | undefined {
  const body = objectOf(parseJson(response.body.toString()));
  const type = typeOf(response, body);
  return type === '' ? undefined : fromStream(type, body, deployment);
}

const typeOf = (response: UpstreamResponse, body: JsonObject): string =>
  exceptionName(headerOf(response.headers, 'x-amzn-errortype') ?? textOf(body['__type']) ?? '');

/** An exception as an event of a stream. @param type the event's `:exception-type` or `:error-code`. */
export function fromStream(type: string, payload: unknown, deployment: Deployment): UpstreamError {
  const body = objectOf(payload);
  const status = statusOfException[type.toLowerCase()] ?? 500;
  const message = messageOf(body) ?? textOf(payload) ?? (type === '' ? noAnswer(status) : type);
  return vendorError({ kind: kindOf(status, type, message), status, message, type: textOf(type) }, deployment);
}

/** `aws.protocols#ValidationException:http://...`: the name is between the two. */
const exceptionName = (stated: string): string => stated.replace(/:.*$/, '').replace(/^.*#/, '');

const messageOf = (body: Readonly<Record<string, unknown>>): string | undefined =>
  textOf(body['message']) ?? textOf(body['Message']) ?? textOf(body['originalMessage']);

function kindOf(status: number, type: string, message: string): UpstreamErrorKind {
  if (status === 400) {
    if (/servicequotaexceeded/i.test(type)) return 'rate-limit';
    if (
      /(input|prompt) is too long|too many input tokens|context (window|length|limit)|maximum (number of )?tokens|exceeds? the model's/i.test(
        message,
      )
    ) {
      return 'context-window';
    }
    if (/content filter|guardrail|responsible ai|content policy/i.test(message)) return 'content-policy';
    // The deployment names a model that is not there; the request is not at fault.
    if (/model identifier is invalid|on-demand throughput isn.t supported/i.test(message)) return 'not-found';
  }
  // The model failed, not the request.
  if (status === 424) return 'unavailable';
  return kindOfStatus(status);
}
