/** The name of an answer: a hash of everything that it depends on, and of those who may see it. */
import { createHash } from 'node:crypto';
import type { CacheScope } from '../domain/cache-settings.ts';
import { readForm } from '../domain/multipart.ts';
import type { Caller, JsonObject, ModelRequest } from '../domain/request.ts';

/** Counts up when the meaning of a key changes, so that old entries are never found. */
const version = 1;

/** Members of a body that steer the gateway or describe the request, and change nothing in the answer. */
const irrelevant: ReadonlySet<string> = new Set([
  'model',
  'cache',
  'metadata',
  'litellm_metadata',
  'litellm_session_id',
  'litellm_trace_id',
  'tags',
  'fallbacks',
  'context_window_fallback_dict',
  'context_window_fallbacks',
  'content_policy_fallbacks',
  'max_fallbacks',
  'disable_fallbacks',
  'num_retries',
  'max_retries',
  'timeout',
  'stream_timeout',
  'api_key',
  'api_base',
  'base_url',
  'custom_llm_provider',
]);

/**
 * Streams and whole answers have keys of their own: one is not made from the other, since that would lose or invent
 * members. Neither is the answer in one API made from that in another: a provider
 * may speak the client's own.
 * @param namespace of the request.
 */
export function cacheKey(
  request: ModelRequest,
  caller: Caller,
  group: string,
  scope: CacheScope,
  namespace: string,
): string {
  const { operation, model, stream, tags, translated = false, spoken, endUser } = request;
  // A pattern serves many models; of any other group, the group's name says it, whichever alias was used.
  const asked = group.includes('*') ? model : '';
  const head = [
    version,
    tenantOf(caller, scope),
    namespace,
    operation,
    group,
    asked,
    stream,
    translated,
    tags.toSorted(),
    // Customers of one key are strangers to each other.
    endUser,
    spoken?.api,
    // Those that a provider sees, such as its switches for features.
    spoken?.headers,
  ];
  const hash = createHash('sha256').update(canonical(head));
  const form = request.contentType === 'application/json' ? undefined : readForm(request.bytes, request.contentType);
  if (form === undefined) return hash.update(canonical(relevant(request))).digest('hex');
  for (const [name, { start, end }] of [...form].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (irrelevant.has(name)) continue;
    // Lengths, so that no content can pass for a border.
    hash.update(JSON.stringify([name, end - start])).update(request.bytes.subarray(start, end));
  }
  return hash.digest('hex');
}

/** Whoever shares answers has the same. Kinds are told apart, since a team may be named as a key's hash. */
function tenantOf(caller: Caller, scope: CacheScope): string {
  if (scope === 'global') return 'global';
  if (scope === 'team' && caller.teamId !== undefined) return `team:${caller.teamId}`;
  return `key:${caller.keyId ?? caller.keyHash}`;
}

/** Other APIs have a `metadata` that goes to the provider, and names the end user there. */
const relevant = ({ body, spoken }: ModelRequest): JsonObject =>
  Object.fromEntries(
    Object.entries(body).filter(
      ([member]) => !irrelevant.has(member) || (member === 'metadata' && spoken !== undefined),
    ),
  );

/** JSON with the members of every object in one order; lists keep theirs. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
