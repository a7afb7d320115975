/**
 * What a provider says in its headers about trying again. Besides HTTP's own `retry-after`
 * (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after) the SDKs of OpenAI and Anthropic obey two more: `retry-after-ms`,
 * which is finer and comes first, and `x-should-retry`. Azure sends the former, too.
 */
import type { UpstreamHeaders } from './adapter.ts';

export interface RetryAdvice {
  /** How long the provider wants to be left alone. */
  readonly retryAfterSeconds?: number | undefined;
  /** Whether it says that the same call may succeed later; undefined = it does not say. */
  readonly retryAdvised?: boolean | undefined;
}

export function readRetryAdvice(headers: UpstreamHeaders, nowMs: number = Date.now()): RetryAdvice {
  const should = headerOf(headers, 'x-should-retry');
  return {
    retryAfterSeconds:
      readMilliseconds(headerOf(headers, 'retry-after-ms')) ?? readRetryAfter(headerOf(headers, 'retry-after'), nowMs),
    retryAdvised: should === 'true' ? true : should === 'false' ? false : undefined,
  };
}

/** The first, when a header was sent several times. */
export function headerOf(headers: UpstreamHeaders, lowerCaseName: string): string | undefined {
  const value = headers[lowerCaseName];
  return typeof value === 'string' || value === undefined ? value : value[0];
}

function readMilliseconds(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const milliseconds = Number(header);
  return Number.isFinite(milliseconds) && milliseconds >= 0 ? milliseconds / 1000 : undefined;
}

/** Seconds, or an HTTP date; nonsense is ignored. */
function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  // `Date.parse` takes almost anything for a date; those of HTTP begin with a weekday.
  // The oldest form names no zone and means GMT, too.
  const at = /^[A-Z][a-z]{2}/.test(header) ? Date.parse(header.endsWith('GMT') ? header : `${header} GMT`) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1000);
}
