/** Failures that a dialect sees itself, in the gateway's words. */
import type { JsonObject } from '../../domain/request.ts';
import type { ErrorEnvelope } from '../dialect.ts';
import { numberOf, textOf } from './json.ts';

/** The stream stopped in the middle of its answer. */
export const unexpectedEnd: ErrorEnvelope = {
  message: 'the stream ended before its answer did',
  type: null,
  param: null,
  code: '502',
};

/** The upstream's own words in its stream. */
export const envelopeOf = (error: JsonObject): ErrorEnvelope => ({
  message: textOf(error['message']) ?? 'the upstream reported an error',
  type: textOf(error['type']) ?? null,
  param: textOf(error['param']) ?? null,
  code: textOf(error['code']) ?? String(numberOf(error['code']) ?? 502),
});
