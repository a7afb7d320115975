/** The wiring of the response cache. */
import { randomUUID } from 'node:crypto';
import { ResponseCache } from './cache/response-cache.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { CacheAdministration, CacheSiblings } from './domain/answer-cache.ts';
import { describeRedis } from './domain/redis-settings.ts';
import type { ModelDirectory } from './routing/directory.ts';
import { RedisResponseCache } from './stores/response-cache.ts';
import type { Logger } from './telemetry/log.ts';

export interface OpenedCache {
  readonly cache: ResponseCache;
  readonly administration: CacheAdministration;
  start(): void;
  close(): void;
}

/**
 * @param directory of the configuration that is live: the cache may outlive the one it was opened for.
 * @param siblings are told of removals where no store tells them.
 * @returns undefined when answers are not cached.
 */
export function openCache(
  config: GatewayConfig,
  directory: () => ModelDirectory,
  now: () => number,
  logger: Logger,
  siblings: CacheSiblings | undefined,
): OpenedCache | undefined {
  const { cache: settings, redis } = config;
  if (settings === undefined || settings.operations.size === 0) return undefined;
  const store =
    !settings.inRedis || redis === undefined
      ? undefined
      : new RedisResponseCache({
          redis,
          namespace: settings.namespace,
          onError: (error) => logger.debug({ err: error }, 'a Redis command failed'),
          onRemoved: () => cache.forget(),
          onChange: (state, error) => {
            const facts = { redis: describeRedis(redis) };
            if (state === 'closed') logger.info(facts, 'the response cache is shared again');
            else logger.warn({ ...facts, err: error }, 'Redis does not answer; each process caches on its own');
          },
        });
  const cache = new ResponseCache({
    settings,
    store,
    now,
    wallNow: Date.now,
    newToken: randomUUID,
    findDeployment: (id, group, asked) => {
      const names = directory();
      const found = names.deployments(group).find((deployment) => deployment.id === id);
      return found === undefined ? undefined : names.concrete(found, asked);
    },
  });
  return {
    cache,
    start: () => store?.start(),
    close: () => store?.close(),
    administration: {
      kind: store === undefined ? 'local' : 'redis',
      ping: async () => store?.ping(),
      remove: async (keys) => {
        cache.forget(keys);
        if (store === undefined) siblings?.removed(keys);
        else await store.remove(keys);
      },
      removeAll: async () => {
        const forgotten = cache.forget();
        if (store !== undefined) return store.removeAll();
        siblings?.removed(undefined);
        return forgotten;
      },
      info: async () => store?.info(),
    },
  };
}
