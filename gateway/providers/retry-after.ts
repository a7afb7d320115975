/** How long a provider wants to be left alone, in seconds. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */

/** Seconds, or an HTTP date; nonsense is ignored. */
export function readRetryAfter(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  // `Date.parse` takes almost anything for a date; those of HTTP begin with a weekday.
  const at = /^[A-Z][a-z]{2}/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1000);
}
