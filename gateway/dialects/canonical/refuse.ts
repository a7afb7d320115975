/** The two ways in which a client's body is turned down. Both name the parameter. */
import { Refusal } from '../../domain/errors.ts';
import type { DialectOptions } from '../dialect.ts';

/** Valid in the client's API, but chat completions have no word for it. */
export const inexpressible = (param: string, reason: string): Refusal =>
  new Refusal({
    status: 400,
    type: 'invalid_request_error',
    param,
    message: `${param} is not supported by this gateway: ${reason}`,
  });

/** Nothing is left out unless it is asked for. */
export const refuseAll: DialectOptions = { dropParams: false };

/** Not valid in the client's API either. */
export const malformed = (param: string, expected: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', param, message: `${param} must be ${expected}` });
