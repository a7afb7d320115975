/** `fallbacks` of a request's body: names, or objects that also say how the request to that model differs. */
import { Refusal } from '../domain/errors.ts';
import type { JsonObject, ModelRequest, RequestedFallback } from '../domain/request.ts';

/** What a fallback cannot change: the client waits for one answer, in one form, under the rules it stated. */
const ofTheWholeRequest = [
  'stream',
  'fallbacks',
  'disable_fallbacks',
  'num_retries',
  'timeout',
  'stream_timeout',
  'tags',
  'allowed_model_region',
  'metadata',
];

/**
 * @param check of a body in the request's own format; throws a refusal.
 * @throws Refusal 400 that names the entry.
 */
export function readFallbacks(
  body: JsonObject,
  check: (body: JsonObject, where: string) => void,
): readonly RequestedFallback[] | undefined {
  const stated = body['fallbacks'];
  if (stated === undefined || stated === null) return undefined;
  if (!Array.isArray(stated)) throw invalid('fallbacks', 'fallbacks must be a list of model names');
  return stated.map((entry: unknown, index) => {
    if (typeof entry === 'string') return { model: entry };
    const where = `fallbacks[${index}]`;
    const { model, ...members } = isObject(entry) ? entry : {};
    if (typeof model !== 'string' || model === '') {
      throw invalid(
        where,
        `${where} must be the name of a model, or an object with a model and the members it changes`,
      );
    }
    const fixed = Object.keys(members).find(
      (member) => ofTheWholeRequest.includes(member) || member.startsWith('mock_'),
    );
    if (fixed !== undefined) {
      throw invalid(`${where}.${fixed}`, `${where}.${fixed} counts for the whole request; state it beside fallbacks`);
    }
    if (Object.keys(members).length === 0) return { model };
    check({ ...body, ...members }, `${where}.`);
    return { model, members };
  });
}

/** The request as this fallback wants it; everything that it does not name stays. */
export function changedBy(request: ModelRequest, members: JsonObject): ModelRequest {
  const body = { ...request.body, ...members };
  const changed = { ...request, body, bytes: Buffer.from(JSON.stringify(body)) };
  return request.spoken?.again(changed) ?? changed;
}

const invalid = (param: string, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, param });

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
