/** What the gateway tells about an answer beside it: LiteLLM's headers, and those of the provider that may be seen. */
import { version } from '../contract.ts';
import type { PassedHeaders } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import { attemptSeconds } from '../pipeline/attempt.ts';
import type { NotReached } from '../pipeline/not-reached.ts';
import type { Served } from '../pipeline/serve.ts';

type Headers = Record<string, string | number>;

/** @param elapsedMs since the request was taken up. @returns an object of the caller's own. */
export function answerHeaders(served: Served, elapsedMs: number): Headers {
  const { answer, deployment, maxRetries, waitedMs, cache } = served;
  const { request } = served.settlement.facts;
  const headers: Headers = {
    'x-litellm-call-id': request.callId,
    ...wayHeaders(deployment, served),
    'x-litellm-max-retries': maxRetries,
    'x-litellm-timeout': request.overrides.timeoutSeconds ?? attemptSeconds(request, deployment),
    'x-litellm-response-duration-ms': Date.now() - request.startedAtMs,
    'x-litellm-overhead-duration-ms': Math.max(0, Math.round((elapsedMs - waitedMs) * 1000) / 1000),
  };
  if (answer.upstreamHeaders !== undefined) addOfUpstream(headers, answer.upstreamHeaders);
  // The client's own limits say more to it than those of a provider.
  const own = served.reservation.headers();
  for (const name in own) headers[name] = own[name] ?? '';
  if (cache !== undefined) {
    headers['x-litellm-cache-key'] = cache.key;
    headers['x-litellm-cache-hit'] = String(cache.isHit());
  }
  return headers;
}

/** The same for a request that nobody answered, as far as it holds. */
export function failureHeaders({ last, deployment, attempts, fallbacks, timeoutSeconds }: NotReached): Headers {
  const headers: Headers = wayHeaders(deployment, { attempts, fallbacks });
  if (timeoutSeconds !== undefined) headers['x-litellm-timeout'] = timeoutSeconds;
  if (last instanceof UpstreamError && last.upstreamHeaders !== undefined) addOfUpstream(headers, last.upstreamHeaders);
  return headers;
}

const wayHeaders = (
  deployment: Deployment | undefined,
  { attempts, fallbacks }: Pick<Served, 'attempts' | 'fallbacks'>,
): Headers => ({
  'x-litellm-version': version,
  ...(deployment === undefined ? undefined : deploymentHeaders(deployment)),
  'x-litellm-attempted-retries': Math.max(0, attempts - 1 - fallbacks),
  'x-litellm-attempted-fallbacks': fallbacks,
});

/** The same for every answer of a deployment. */
const headersOf = new WeakMap<Deployment, Headers>();

function deploymentHeaders(deployment: Deployment): Headers {
  let headers = headersOf.get(deployment);
  if (headers === undefined) {
    const { id, modelGroup, origin, basePath, region } = deployment;
    headers = {
      'x-litellm-model-id': headerText(id),
      'x-litellm-model-group': headerText(modelGroup),
      'x-litellm-model-api-base': `${origin}${basePath}`,
      ...(region === undefined ? undefined : { 'x-litellm-model-region': headerText(region) }),
    };
    headersOf.set(deployment, headers);
  }
  return headers;
}

/** What is left of a provider's limits also goes under OpenAI's own names, which clients look for. */
function addOfUpstream(headers: Headers, passed: PassedHeaders): void {
  for (const name in passed) {
    const value = passed[name];
    if (value === undefined) continue;
    headers[`llm_provider-${name}`] = value;
    if (name.startsWith('x-ratelimit-')) headers[name] = value;
  }
}

/** A header holds no more than ASCII safely; names in other scripts are written as in a URL. */
const headerText = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text));
