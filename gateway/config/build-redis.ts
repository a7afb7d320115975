/** What the file and the environment say about Redis, place by place, in the words of `chooseRedis`. */
import type { RedisSettings } from '../domain/redis-settings.ts';
import { chooseRedis, type RedisSource, RedisSourceError, redisFromEnvironment, tlsOf } from './choose-redis.ts';
import type { ConfigPath } from './document.ts';
import type { Environment } from './environment.ts';
import type { LiteLLMConfig } from './schema.ts';

export interface BuiltRedis {
  readonly redis: RedisSettings | undefined;
  readonly faults: readonly { readonly path: ConfigPath; readonly message: string }[];
}

export function buildRedis(file: LiteLLMConfig, environment: Environment): BuiltRedis {
  const places: readonly (readonly [path: ConfigPath, source: RedisSource])[] = [
    [['router_settings'], ofSettings(file.router_settings ?? {})],
    [['general_settings'], ofGeneral(file.general_settings ?? {})],
    [['litellm_settings', 'cache_params'], ofCache(file.litellm_settings?.cache_params)],
    [['cache_params'], ofCache(file.cache_params)],
  ];
  let at: ConfigPath = ['environment'];
  try {
    const variables = redisFromEnvironment(environment);
    // Each place is looked at alone, too, so that a fault names its own place and none hides behind a stronger one.
    for (const [path, source] of places) {
      at = path;
      chooseRedis({}, [source]);
    }
    at = ['environment'];
    return {
      redis: chooseRedis(
        variables,
        places.map(([, source]) => source),
      ),
      faults: [],
    };
  } catch (error) {
    if (!(error instanceof RedisSourceError)) throw error;
    return { redis: undefined, faults: [{ path: at, message: error.message }] };
  }
}

type Keys = Pick<
  NonNullable<LiteLLMConfig['router_settings']>,
  'redis_url' | 'redis_host' | 'redis_port' | 'redis_username' | 'redis_password' | 'redis_db' | 'redis_ssl'
>;

const ofSettings = (keys: Keys): RedisSource => ({
  url: keys.redis_url,
  host: keys.redis_host,
  port: keys.redis_port,
  username: keys.redis_username,
  password: keys.redis_password,
  database: keys.redis_db,
  ssl: keys.redis_ssl,
});

function ofGeneral(keys: NonNullable<LiteLLMConfig['general_settings']>): RedisSource {
  const source = ofSettings(keys);
  if (keys.redis_use_sentinel !== true) return source;
  const { host, port = 26_379, ...rest } = source;
  return {
    ...rest,
    sentinelName: keys.redis_sentinel_master_name,
    sentinelPassword: keys.redis_sentinel_password,
    sentinels: host === undefined ? undefined : [{ host, port }],
  };
}

function ofCache(keys: LiteLLMConfig['cache_params']): RedisSource {
  if (keys === undefined) return {};
  return {
    url: keys.url,
    host: keys.host,
    port: keys.port,
    username: keys.username,
    password: keys.password,
    database: keys.db,
    clusterNodes: keys.redis_startup_nodes,
    sentinels: keys.sentinel_nodes,
    sentinelName: keys.service_name,
    sentinelUsername: keys.sentinel_username,
    sentinelPassword: keys.sentinel_password,
    ssl: keys.ssl,
    tls: tlsOf(keys),
  };
}
