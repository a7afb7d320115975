/** `cache` and `cache_params` in the cache's own words. */
import type { CacheSettings } from '../domain/cache-settings.ts';
import type { Operation } from '../domain/operation.ts';
import type { RedisSettings } from '../domain/redis-settings.ts';
import type { ConfigPath } from './document.ts';
import type { LiteLLMConfig } from './schema.ts';

interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
}

export interface BuiltCache {
  /** Undefined = answers are not cached. */
  readonly cache: CacheSettings | undefined;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
}

const defaultTtlSeconds = 3_600;
const defaultAnswerKilobytes = 1_024;
const defaultMemoryMegabytes = 64;

/** Pictures and sound are large, seldom asked for twice, and not kept unless the file names them. */
const defaultOperations: readonly Operation[] = ['chat', 'embeddings', 'rerank', 'moderations'];

/** Python's names of calls; `a...` is the asynchronous twin of each. */
const operationOf: Readonly<Record<string, Operation>> = {
  completion: 'chat',
  text_completion: 'chat',
  responses: 'chat',
  anthropic_messages: 'chat',
  embedding: 'embeddings',
  moderation: 'moderations',
  rerank: 'rerank',
  image_generation: 'images',
  speech: 'speech',
  transcription: 'transcriptions',
};

export function buildCache(file: LiteLLMConfig, redis: RedisSettings | undefined): BuiltCache {
  const own = file.litellm_settings?.cache_params;
  const params = own ?? file.cache_params ?? {};
  const path: ConfigPath = own === undefined ? ['cache_params'] : ['litellm_settings', 'cache_params'];
  const on = file.litellm_settings?.cache ?? file.general_settings?.cache ?? false;
  if (!on) return { cache: undefined, faults: [], warnings: [] };
  const warnings: Finding[] = [];
  const faults: Finding[] = [];
  const { type } = params;
  if (type === 'redis' && redis === undefined) {
    faults.push({
      path: [...path, 'type'],
      message: 'is redis, but nothing names a server; write host, or set REDIS_URL',
    });
  }
  if (type !== undefined && type !== 'redis' && type !== 'local') {
    warnings.push({
      path: [...path, 'type'],
      message: `"${type}" is not available in this version; answers are cached in the memory of each process`,
    });
  }
  const operations = new Set<Operation>(params.supported_call_types === undefined ? defaultOperations : []);
  for (const name of params.supported_call_types ?? []) {
    const operation = operationOf[name] ?? operationOf[name.replace(/^a/, '')];
    if (operation !== undefined) operations.add(operation);
    else warnings.push({ path: [...path, 'supported_call_types'], message: `"${name}" is not a call that is cached` });
  }
  return {
    faults,
    warnings,
    cache: {
      // As everything that processes share: Redis set anywhere is used, unless the file says otherwise.
      inRedis: redis !== undefined && (type === undefined || type === 'redis'),
      ttlSeconds: params.ttl ?? defaultTtlSeconds,
      namespace: params.namespace ?? 'default',
      operations,
      byDefault: params.mode !== 'default_off',
      scope: params.scope ?? 'team',
      coalesce: params.coalesce ?? true,
      maxAnswerBytes: (params.max_answer_size_kb ?? defaultAnswerKilobytes) * 1024,
      maxMemoryBytes: (params.max_memory_mb ?? defaultMemoryMegabytes) * 1024 * 1024,
    },
  };
}
