/** The closed list of failures: upstream errors are theirs, refusals are ours. HTTP turns them into answers in one place. */

import type { PassedHeaders } from './answer.ts';

/** What went wrong upstream, as far as the policies care. Names follow LiteLLM's exception classes. */
export type UpstreamErrorKind =
  | 'authentication'
  | 'bad-request'
  | 'content-policy'
  | 'context-window'
  | 'not-found'
  | 'rate-limit'
  | 'timeout'
  | 'unavailable';

/** LiteLLM's class for each kind: in messages, and as the prefix of its retry and cooldown policy keys. */
export const exceptionClass: Readonly<Record<UpstreamErrorKind, string>> = {
  authentication: 'AuthenticationError',
  'bad-request': 'BadRequestError',
  'content-policy': 'ContentPolicyViolationError',
  'context-window': 'ContextWindowExceededError',
  'not-found': 'NotFoundError',
  'rate-limit': 'RateLimitError',
  timeout: 'Timeout',
  unavailable: 'InternalServerError',
};

export interface UpstreamErrorDetail {
  readonly kind: UpstreamErrorKind;
  /** Status the client gets when this is the last word: the upstream's own, 504 or 408 for time-outs, 503 without an answer. */
  readonly status: number;
  readonly provider: string;
  /** The provider's own words, without credentials. */
  readonly message: string;
  /** Wait the provider asked for, seconds. */
  readonly retryAfterSeconds?: number;
  /** Whether the provider said that the same call may succeed later; undefined = it said nothing. */
  readonly retryAdvised?: boolean;
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
  /** The provider may have worked, and bill it, although no answer arrived: a time-out, a reset. */
  readonly mayBeBilled?: boolean;
  readonly cause?: unknown;
}

/** An attempt failed upstream. */
export class UpstreamError extends Error {
  readonly kind: UpstreamErrorKind;
  readonly status: number;
  readonly provider: string;
  readonly retryAfterSeconds: number | undefined;
  readonly retryAdvised: boolean | undefined;
  readonly type: string | undefined;
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly mayBeBilled: boolean;
  /** Headers of the provider's refusal that clients may see; set by whoever has the answer at hand. */
  upstreamHeaders: PassedHeaders | undefined;

  constructor(detail: UpstreamErrorDetail) {
    super(detail.message, { cause: detail.cause });
    this.name = 'UpstreamError';
    this.kind = detail.kind;
    this.status = detail.status;
    this.provider = detail.provider;
    this.retryAfterSeconds = detail.retryAfterSeconds;
    this.retryAdvised = detail.retryAdvised;
    this.type = detail.type;
    this.param = detail.param;
    this.code = detail.code;
    this.mayBeBilled = detail.mayBeBilled ?? false;
  }
}

/** Nobody of a model group may be asked now. LiteLLM's own words, as clients look for them. */
export class NoDeployments extends UpstreamError {
  constructor(group: string, retryAfterSeconds: number) {
    super({
      kind: 'rate-limit',
      status: 429,
      provider: 'gateway',
      message: `No deployments available for selected model, Try again in ${retryAfterSeconds} seconds. Passed model=${group}`,
      retryAfterSeconds,
    });
    this.name = 'NoDeployments';
  }
}

export interface RefusalDetail {
  readonly status: number;
  /** LiteLLM's error type, for example `auth_error`. */
  readonly type: string;
  readonly message: string;
  readonly param?: string;
  readonly retryAfterSeconds?: number;
  /** Told to the client besides. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The gateway itself says no. The message goes to the client as it is. */
export class Refusal extends Error {
  readonly status: number;
  readonly type: string;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(detail: RefusalDetail) {
    super(detail.message);
    this.name = 'Refusal';
    this.status = detail.status;
    this.type = detail.type;
    this.param = detail.param;
    this.retryAfterSeconds = detail.retryAfterSeconds;
    this.headers = detail.headers;
  }
}

/** The client closed its connection; nobody is left to answer. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed the connection');
    this.name = 'ClientGone';
  }
}

/** The request's total time is over. */
export class DeadlineExceeded extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super(`no answer within ${seconds} s`);
    this.name = 'DeadlineExceeded';
    this.seconds = seconds;
  }
}

/** The gateway is leaving and its drain deadline has passed. */
export class GatewayLeaving extends Error {
  constructor() {
    super('the gateway is shutting down and this request outlived its drain deadline');
    this.name = 'GatewayLeaving';
  }
}
