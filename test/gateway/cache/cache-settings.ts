import type { CacheSettings } from '../../../gateway/domain/cache-settings.ts';

export const cacheSettings = (over: Partial<CacheSettings> = {}): CacheSettings => ({
  inRedis: false,
  ttlSeconds: 100,
  namespace: 'test',
  operations: new Set(['chat', 'embeddings']),
  byDefault: true,
  scope: 'team',
  coalesce: true,
  maxAnswerBytes: 100_000,
  maxMemoryBytes: 1_000_000,
  ...over,
});
