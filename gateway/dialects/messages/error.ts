/** Errors of the Messages API. https://platform.claude.com/docs/en/api/errors */
import type { JsonObject } from '../../domain/request.ts';
import type { ErrorEnvelope } from '../dialect.ts';

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

/** The gateway's own `param` and `code` stay in it; clients ignore what they do not know. */
export const errorBody = (status: number, { message, param, code }: ErrorEnvelope): JsonObject => ({
  type: 'error',
  error: { type: types[status] ?? (isOurs(status) ? 'invalid_request_error' : 'api_error'), message, param, code },
});

const isOurs = (status: number): boolean => status >= 400 && status < 500;
