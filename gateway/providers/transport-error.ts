/** Failures below HTTP (no connection, no answer in time, a reset) in the words of the policies. */
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';

const timeouts = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'HOLDFAST_ANSWER_TIMEOUT',
  'ETIMEDOUT',
]);

/** Nothing reached the provider, so nothing can be billed. */
const neverSent = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

const sentences: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled',
  HOLDFAST_ANSWER_TIMEOUT: 'no complete answer in time',
  HOLDFAST_ANSWER_TOO_LARGE: 'the answer is larger than 64 MiB',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  UND_ERR_SOCKET: 'connection closed before the answer was complete',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name lookup failed',
};

/** Anything already classified passes through. */
export function transportError(error: Error, deployment: Pick<Deployment, 'provider'>): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const timeout = timeouts.has(code);
  return new UpstreamError({
    kind: timeout ? 'timeout' : 'unavailable',
    status: timeout ? 408 : 503,
    provider: deployment.provider,
    message: sentences[code] ?? `no usable answer (${code === '' ? error.name : code})`,
    mayBeBilled: !neverSent.has(code),
    cause: error,
  });
}
