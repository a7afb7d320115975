/** The one place where a failure becomes a status and LiteLLM's error envelope. */
import type { Dialect, DialectEncoder, ErrorEnvelope } from '../dialects/dialect.ts';
import {
  ClientGone,
  DeadlineExceeded,
  exceptionClass,
  GatewayLeaving,
  NoDeployments,
  Refusal,
  UpstreamError,
} from '../domain/errors.ts';

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** @param dialect of the client; without one it speaks OpenAI's format. */
export function toErrorAnswer(error: unknown, dialect?: Dialect): ErrorAnswer {
  const { status, envelope, retryAfterSeconds } = describe(error);
  return {
    status,
    headers: {
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
      ...(error instanceof Refusal ? error.headers : undefined),
    },
    body: dialect?.fromError(status, envelope) ?? JSON.stringify({ error: envelope }),
  };
}

/** The last event of a stream that broke: the client must not take what it has for the whole answer. */
export const toErrorEvent = (error: unknown, encoder?: DialectEncoder): string | Buffer => {
  const { envelope } = describe(error);
  return encoder?.broken(envelope) ?? `data: ${JSON.stringify({ error: envelope })}\n\n`;
};

function describe(error: unknown): { status: number; envelope: ErrorEnvelope; retryAfterSeconds: number | undefined } {
  if (error instanceof Refusal) {
    return answer(error.status, error.message, error.type, error.param ?? null, error.retryAfterSeconds);
  }
  // LiteLLM prints Python's word for a type and a parameter that are not there.
  if (error instanceof NoDeployments) return answer(429, error.message, 'None', 'None', error.retryAfterSeconds);
  if (error instanceof UpstreamError) {
    const type = error.type ?? typeOf(error.status);
    const message = `litellm.${exceptionClass[error.kind]}: ${vendor(error.provider)}Exception - ${error.message}`;
    return answer(error.status, message, type, error.param ?? null, error.retryAfterSeconds);
  }
  if (error instanceof DeadlineExceeded) return answer(408, `litellm.Timeout: ${error.message}`, 'timeout_error', null);
  if (error instanceof GatewayLeaving) return answer(503, error.message, 'service_unavailable', null, 1);
  if (error instanceof ClientGone) return answer(499, error.message, 'client_closed_request', null);
  return answer(
    500,
    'Internal error of the gateway; its log has the details under this call id',
    'internal_server_error',
    null,
  );
}

const answer = (
  status: number,
  message: string,
  type: string | null,
  param: string | null,
  retryAfterSeconds?: number,
) => ({
  status,
  envelope: { message, type, param, code: String(status) },
  retryAfterSeconds,
});

const typeOf = (status: number): string | null =>
  status === 429 ? 'rate_limit_error' : status === 401 ? 'auth_error' : status < 500 ? 'invalid_request_error' : null;

const vendor = (provider: string): string =>
  provider === 'openai' ? 'OpenAI' : `${provider.charAt(0).toUpperCase()}${provider.slice(1)}`;
