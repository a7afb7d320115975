/** What the gateway tells about an answer beside it: LiteLLM's headers, and those of the provider that may be seen. */
import { version } from '../contract.ts';
import type { PassedHeaders } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import { attemptSeconds } from '../pipeline/attempt.ts';
import type { NotReached } from '../pipeline/not-reached.ts';
import type { Served } from '../pipeline/serve.ts';

/**
 * Names and values in turn, each name once. Node takes them as they are; an object with so many members that are not known
 * beforehand would become a hash table, for each answer anew.
 */
export type HeaderList = (string | number)[];

/** @param elapsedMs since the request was taken up. @returns a list of the caller's own. */
export function answerHeaders(served: Served, elapsedMs: number): HeaderList {
  const { answer, deployment, attempts, fallbacks, maxRetries, waitedMs, cache } = served;
  const { request } = served.settlement.facts;
  const headers: HeaderList = ['x-litellm-call-id', request.callId];
  addWay(headers, deployment, attempts, fallbacks);
  headers.push(
    'x-litellm-max-retries',
    maxRetries,
    'x-litellm-timeout',
    request.overrides.timeoutSeconds ?? attemptSeconds(request, deployment),
    'x-litellm-response-duration-ms',
    Date.now() - request.startedAtMs,
    'x-litellm-overhead-duration-ms',
    Math.max(0, Math.round((elapsedMs - waitedMs) * 1000) / 1000),
  );
  const own = served.reservation.headers();
  if (own !== undefined) addAll(headers, own);
  if (answer.upstreamHeaders !== undefined) addOfUpstream(headers, answer.upstreamHeaders, own ?? nothing);
  if (cache !== undefined) {
    headers.push('x-litellm-cache-key', cache.key, 'x-litellm-cache-hit', String(cache.isHit()));
  }
  return headers;
}

/** The same for a request that nobody answered, as far as it holds. */
export function failureHeaders(failure: NotReached): Record<string, string | number> {
  const { last, deployment, attempts, fallbacks, timeoutSeconds } = failure;
  const headers: HeaderList = [];
  addWay(headers, deployment, attempts, fallbacks);
  if (timeoutSeconds !== undefined) headers.push('x-litellm-timeout', timeoutSeconds);
  if (last instanceof UpstreamError && last.upstreamHeaders !== undefined) {
    addOfUpstream(headers, last.upstreamHeaders, nothing);
  }
  return byName(headers);
}

const nothing: readonly string[] = [];

function addWay(headers: HeaderList, deployment: Deployment | undefined, attempts: number, fallbacks: number): void {
  headers.push('x-litellm-version', version);
  if (deployment !== undefined) addAll(headers, deploymentHeaders(deployment));
  headers.push(
    'x-litellm-attempted-retries',
    Math.max(0, attempts - 1 - fallbacks),
    'x-litellm-attempted-fallbacks',
    fallbacks,
  );
}

function addAll(headers: HeaderList, more: readonly (string | number)[]): void {
  for (let index = 0; index < more.length; index++) headers.push(more[index] ?? '');
}

/** The same for every answer of a deployment. */
const headersOf = new WeakMap<Deployment, string[]>();

function deploymentHeaders(deployment: Deployment): readonly string[] {
  let headers = headersOf.get(deployment);
  if (headers === undefined) {
    const { id, modelGroup, origin, basePath, region } = deployment;
    headers = ['x-litellm-model-id', headerText(id), 'x-litellm-model-group', headerText(modelGroup)];
    headers.push('x-litellm-model-api-base', `${origin}${basePath}`);
    if (region !== undefined) headers.push('x-litellm-model-region', headerText(region));
    headersOf.set(deployment, headers);
  }
  return headers;
}

/**
 * What is left of a provider's limits also goes under OpenAI's own names, which clients look for.
 * @param own limits of the client, under the same names: they say more to it than those of a provider.
 */
function addOfUpstream(headers: HeaderList, passed: PassedHeaders, own: readonly string[]): void {
  for (const name in passed) {
    const value = passed[name];
    if (value === undefined) continue;
    headers.push(`llm_provider-${name}`, value);
    if (name.startsWith('x-ratelimit-') && !own.includes(name)) headers.push(name, value);
  }
}

function byName(list: HeaderList): Record<string, string | number> {
  const headers: Record<string, string | number> = {};
  for (let index = 0; index < list.length; index += 2) headers[String(list[index])] = list[index + 1] ?? '';
  return headers;
}

/** A header holds no more than ASCII safely; names in other scripts are written as in a URL. */
const headerText = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text));
