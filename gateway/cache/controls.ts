/** What a request says about the cache: in its body (`cache: {...}`, LiteLLM's names) and in `Cache-Control`. */
import type { CacheSettings } from '../domain/cache-settings.ts';
import { Refusal } from '../domain/errors.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';

export interface CacheControls {
  /** May be answered from the cache, or by a call that is under way. */
  readonly read: boolean;
  /** The answer may be kept. */
  readonly store: boolean;
  readonly ttlSeconds: number;
  /** Older answers do not count. */
  readonly maxAgeSeconds: number;
  readonly namespace: string;
  /** May share one call with identical requests. */
  readonly coalesce: boolean;
}

/** A month: longer and nobody remembers why. */
const longestTtlSeconds = 2_592_000;
const longestNamespace = 100;

const flags = ['no-cache', 'no-store', 'use-cache', 'no-coalesce'] as const;
const numbers = ['ttl', 's-maxage', 's-max-age'] as const;
type Flag = (typeof flags)[number];
type Numeric = (typeof numbers)[number];

interface Stated {
  readonly flags: ReadonlySet<Flag>;
  readonly numbers: ReadonlyMap<Numeric, number>;
  readonly namespace: string | undefined;
}

/**
 * @returns undefined when the cache has nothing to do with this request.
 * @throws Refusal 400 naming the control that cannot be read, or that this key may not use.
 */
export function readControls(
  request: ModelRequest,
  caller: Pick<Caller, 'allowedCacheControls'>,
  settings: CacheSettings,
): CacheControls | undefined {
  if (!settings.operations.has(request.operation) || request.mock !== undefined) return undefined;
  // What continues an answer that a provider keeps, or runs there by itself, is no question that can be asked twice.
  if (request.spoken?.onlyAt !== undefined || request.body['background'] === true) return undefined;
  const stated = inBody(request.body['cache']);
  checkAllowed(stated, caller.allowedCacheControls);
  const header = inHeader(request.cacheControl);
  const has = (flag: Flag): boolean => stated.flags.has(flag) || header.flags.has(flag);
  if (!settings.byDefault && !has('use-cache')) return undefined;
  const ttl = stated.numbers.get('ttl') ?? header.numbers.get('ttl') ?? settings.ttlSeconds;
  const maxAge = stated.numbers.get('s-maxage') ?? stated.numbers.get('s-max-age') ?? header.numbers.get('s-maxage');
  const read = !has('no-cache');
  const store = !has('no-store') && ttl > 0;
  if (!read && !store) return undefined;
  return {
    read,
    store,
    ttlSeconds: Math.min(ttl, longestTtlSeconds),
    maxAgeSeconds: maxAge ?? Number.POSITIVE_INFINITY,
    namespace: stated.namespace ?? '',
    // Whoever wants a fresh answer, or none that is kept, wants one of its own.
    coalesce: settings.coalesce && read && store && !has('no-coalesce'),
  };
}

const nothing: Stated = { flags: new Set(), numbers: new Map(), namespace: undefined };

function inBody(value: unknown): Stated {
  if (value === undefined || value === null) return nothing;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalid('cache', 'cache must be an object, for example {"ttl": 600} or {"no-cache": true}');
  }
  const controls = new Map<string, unknown>(Object.entries(value));
  const namespace = controls.get('namespace') ?? undefined;
  if (namespace !== undefined && (typeof namespace !== 'string' || namespace.length > longestNamespace)) {
    throw invalid('cache.namespace', `cache.namespace must be a text of at most ${longestNamespace} characters`);
  }
  const given = new Map<Numeric, number>();
  for (const name of numbers) {
    const stated = controls.get(name) ?? undefined;
    if (stated === undefined) continue;
    const number = typeof stated === 'string' && /^\d+$/.test(stated) ? Number(stated) : stated;
    if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) {
      throw invalid(`cache.${name}`, `cache.${name} must be a number of seconds of at least 0`);
    }
    given.set(name, number);
  }
  return { flags: new Set(flags.filter((flag) => isTrue(flag, controls.get(flag)))), numbers: given, namespace };
}

function isTrue(flag: Flag, value: unknown): boolean {
  if (value === undefined || value === null || typeof value === 'boolean') return value === true;
  throw invalid(`cache.${flag}`, `cache.${flag} must be true or false`);
}

/** Directives that mean something here; others, and nonsense, are for caches in between. */
function inHeader(header: string | undefined): Stated {
  if (header === undefined) return nothing;
  const parts = header
    .toLowerCase()
    .split(',')
    .map((part) => part.trim());
  const seconds = (directive: string): number | undefined => {
    const value = parts.find((part) => part.startsWith(`${directive}=`))?.slice(directive.length + 1);
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const maxAge = seconds('s-maxage') ?? seconds('max-age');
  return {
    flags: new Set(
      flags.filter((flag) => flag.startsWith('no-c') || flag === 'no-store').filter((flag) => parts.includes(flag)),
    ),
    numbers: new Map<Numeric, number>(maxAge === undefined ? [] : [['s-maxage', maxAge]]),
    namespace: undefined,
  };
}

/** LiteLLM's `allowed_cache_controls` of a key: an empty list allows all. */
function checkAllowed(stated: Stated, allowed: readonly string[] | undefined): void {
  if (allowed === undefined || allowed.length === 0) return;
  const used = [...stated.flags, ...stated.numbers.keys(), ...(stated.namespace === undefined ? [] : ['namespace'])];
  const forbidden = used.find((name) => !allowed.includes(name));
  if (forbidden === undefined) return;
  throw invalid(`cache.${forbidden}`, `This key may not use cache.${forbidden}. It may use: ${allowed.join(', ')}`);
}

const invalid = (param: string, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, param });
