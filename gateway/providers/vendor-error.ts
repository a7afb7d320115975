/** What the errors of providers with a wire format of their own have in common. The vendor's folder decides the kind. */
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError, type UpstreamErrorKind } from '../domain/errors.ts';
import { present } from './json.ts';
import type { RetryAdvice } from './retry-advice.ts';

/** Headers that carry a credential; some servers quote the one they refuse. */
const credentialHeaders = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'];

export interface VendorError extends RetryAdvice {
  readonly kind: UpstreamErrorKind;
  readonly status: number;
  readonly message: string;
  readonly type?: string | undefined;
  readonly param?: string | undefined;
  readonly code?: string | undefined;
  /** The provider may have worked although no answer arrived. */
  readonly mayBeBilled?: boolean;
}

export function vendorError(error: VendorError, deployment: Deployment): UpstreamError {
  return new UpstreamError({
    kind: error.kind,
    // A redirect is not followed and not passed on: the client would leave the gateway.
    status: error.status < 400 ? 502 : error.status,
    provider: deployment.provider,
    message: withoutCredentials(error.message, deployment),
    ...present({
      type: error.type,
      param: error.param,
      code: error.code,
      retryAfterSeconds: error.retryAfterSeconds,
      retryAdvised: error.retryAdvised,
      mayBeBilled: error.mayBeBilled,
    }),
  });
}

/** What arrived is no answer: the connection or its framing broke. The provider may have written one all the same. */
export const brokenStream = (message: string, deployment: Deployment): UpstreamError =>
  vendorError({ kind: 'unavailable', status: 502, message, mayBeBilled: true }, deployment);

export const noAnswer = (status: number): string => `status ${status} without an explanation that could be read`;

/** The kind that a status has by itself, whatever the vendor says with it. */
export function kindOfStatus(status: number): UpstreamErrorKind {
  // 402: the account cannot pay. The same request may succeed with another account.
  if (status === 401 || status === 402 || status === 403) return 'authentication';
  if (status === 404) return 'not-found';
  if (status === 408 || status === 504) return 'timeout';
  if (status === 429) return 'rate-limit';
  return status < 400 || status >= 500 ? 'unavailable' : 'bad-request';
}

export function withoutCredentials(message: string, deployment: Deployment): string {
  return credentialHeaders
    .map((name) => deployment.headers[name]?.replace(/^Bearer /, '') ?? '')
    .filter((secret) => secret !== '')
    .reduce((text, secret) => text.replaceAll(secret, '***'), message);
}
