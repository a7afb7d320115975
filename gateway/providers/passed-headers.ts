/** Which headers of an upstream clients may see: ids to ask the provider about, and what is left of its limits. */
import type { PassedHeaders } from '../domain/answer.ts';
import type { UpstreamHeaders } from './adapter.ts';

const passedNames: ReadonlySet<string> = new Set(['x-request-id', 'request-id', 'openai-processing-ms', 'retry-after']);
/** A server that sends more or longer ones is not describing itself. */
const mostHeaders = 24;
const longestName = 80;
const longestValue = 200;
const token = /^[a-z0-9-]+$/;
const printable = /^[\x20-\x7e]+$/;

/** @returns undefined when there is none. */
export function passedHeaders(headers: UpstreamHeaders): PassedHeaders | undefined {
  let passed: Record<string, string> | undefined;
  let count = 0;
  for (const name in headers) {
    if (!passedNames.has(name) && !name.startsWith('x-ratelimit-') && !name.startsWith('anthropic-ratelimit-'))
      continue;
    const value = headers[name];
    if (typeof value !== 'string' || value.length > longestValue || !printable.test(value)) continue;
    if (name.length > longestName || !token.test(name)) continue;
    passed ??= {};
    passed[name] = value;
    if (++count === mostHeaders) break;
  }
  return passed;
}
