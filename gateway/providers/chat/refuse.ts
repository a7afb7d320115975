/** The two ways in which a client's body is turned down. Both name the parameter. */
import { Refusal } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/request.ts';
import { isObject } from '../json.ts';

export interface AdapterOptions {
  /** LiteLLM's `drop_params`: what the provider cannot express is left out instead of refused. */
  readonly dropParams: boolean;
}

/** Not valid in OpenAI's API either. */
export const malformed = (param: string, expected: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', param, message: `${param} must be ${expected}` });

/** Valid, but this provider has no word for it. */
export const inexpressible = (param: string, provider: string, reason: string): Refusal =>
  new Refusal({
    status: 400,
    type: 'invalid_request_error',
    param,
    message: `${param} is not supported by ${provider}: ${reason}`,
  });

/**
 * Refuses the parameters that a provider cannot express, unless they are to be dropped. A value that asks for nothing
 * (`n: 1`, `logprobs: false`) is no request.
 */
export function refuseUnsupported(
  body: JsonObject,
  reasons: Readonly<Record<string, string>>,
  provider: string,
  options: AdapterOptions,
): void {
  if (options.dropParams) return;
  for (const [param, reason] of Object.entries(reasons)) {
    const value = body[param];
    if (value === undefined || value === null || asksForNothing[param]?.(value) === true) continue;
    const shown = typeof value === 'number' || typeof value === 'boolean' ? ` = ${JSON.stringify(value)}` : '';
    throw new Refusal({
      status: 400,
      type: 'invalid_request_error',
      param,
      message: `${param}${shown} is not supported by ${provider}: ${reason}; leave it out, or set drop_params to have it ignored`,
    });
  }
}

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;

const asksForNothing: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  logprobs: (value) => value === false,
  top_logprobs: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  logit_bias: isEmpty,
  functions: isEmpty,
  modalities: (value) => Array.isArray(value) && value.every((modality) => modality === 'text'),
  verbosity: (value) => value === 'medium',
};
