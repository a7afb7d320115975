/** Which Redis the gateway uses, when several places may name one. */
import {
  parseRedisNodes,
  parseRedisUrl,
  type RedisNode,
  type RedisSettings,
  type RedisTarget,
  type RedisTls,
} from '../domain/redis-settings.ts';
import type { Environment } from './environment.ts';

/** What one place says about Redis. */
export interface RedisSource {
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  readonly clusterNodes?: readonly RedisNode[] | undefined;
  readonly sentinels?: readonly RedisNode[] | undefined;
  readonly sentinelName?: string | undefined;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  readonly ssl?: boolean | undefined;
  readonly tls?: Partial<RedisTls> | undefined;
}

/** A place that names Sentinels without the name of their set, or the other way round, or a URL that is none. */
export class RedisSourceError extends Error {}

/**
 * Precedence, strongest first: `REDIS_URL`, `REDIS_CLUSTER_NODES` and `REDIS_SENTINEL_NODES` of the environment,
 * `router_settings`, `general_settings`, `cache_params` (in `litellm_settings`, then at the top), `REDIS_HOST`. That one
 * comes last because files refer to it: a file that makes a Sentinel or a Cluster node of it means what it says.
 *
 * The first place that names a server is the one, and it is used for everything: cooldowns, limits, cache. Inside a place:
 * Cluster nodes, Sentinels, URL, host. User, password, database and TLS belong to the server and come from the same place;
 * what it leaves out may stand in the environment, where it has no other meaning.
 * @param environment what the process's variables say.
 * @param places of the file, strongest first.
 * @throws RedisSourceError
 */
export function chooseRedis(environment: RedisSource, places: readonly RedisSource[]): RedisSettings | undefined {
  const { host: _, ...addresses } = environment;
  const source = namesServer(addresses) ? environment : [...places, environment].find(namesServer);
  if (source === undefined) return undefined;
  const fromUrl = source.url === undefined ? undefined : parseRedisUrl(source.url);
  if (source.url !== undefined && fromUrl === undefined) {
    throw new RedisSourceError('must start with redis:// or rediss:// and name a host');
  }
  const username = source.username ?? fromUrl?.username ?? environment.username;
  const password = source.password ?? fromUrl?.password ?? environment.password;
  const usesTls = source.ssl ?? (fromUrl?.tls !== undefined ? true : (environment.ssl ?? false));
  const settings = {
    target: targetOf(source, fromUrl),
    database: source.database ?? (fromUrl?.database || undefined) ?? environment.database ?? 0,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(usesTls ? { tls: { verify: true, checkHost: true, ...environment.tls, ...source.tls } } : {}),
  };
  if (settings.target.is === 'cluster' && settings.database !== 0) {
    throw new RedisSourceError('a Redis Cluster has only the database 0; leave the number out');
  }
  return settings;
}

const namesServer = ({ url, host, clusterNodes, sentinels, sentinelName }: RedisSource): boolean =>
  [url, host, clusterNodes, sentinels, sentinelName].some((part) => part !== undefined);

function targetOf(source: RedisSource, fromUrl: RedisSettings | undefined): RedisTarget {
  const { clusterNodes, sentinels, sentinelName, sentinelUsername, sentinelPassword, host, port } = source;
  if (clusterNodes !== undefined) return { is: 'cluster', nodes: clusterNodes };
  if (sentinels !== undefined || sentinelName !== undefined) {
    if (sentinels === undefined) {
      throw new RedisSourceError('names a Sentinel set but no Sentinel; write sentinel_nodes: [[host, 26379], ...]');
    }
    if (sentinelName === undefined)
      throw new RedisSourceError(
        'names Sentinels but not their set; write service_name, in general_settings redis_sentinel_master_name',
      );
    return {
      is: 'sentinel',
      name: sentinelName,
      sentinels,
      ...(sentinelUsername === undefined ? {} : { username: sentinelUsername }),
      ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
    };
  }
  return fromUrl?.target ?? { is: 'single', node: { host: host ?? 'localhost', port: port ?? 6379 } };
}

/** Variables of the process, in LiteLLM's names. Unset and blank ones say nothing. @throws RedisSourceError */
export function redisFromEnvironment(environment: Environment): RedisSource {
  const text = (name: string): string | undefined => environment[name] || undefined;
  const nodes = (name: string): readonly RedisNode[] | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const parsed = parseRedisNodes(value);
    if (parsed === undefined)
      throw new RedisSourceError(`${name} must be host:port,host:port or [{"host": ..., "port": ...}]`);
    return parsed;
  };
  const number = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (!/^\d+$/.test(value)) throw new RedisSourceError(`${name} must be a number`);
    return Number(value);
  };
  const ssl = text('REDIS_SSL')?.toLowerCase();
  return {
    url: text('REDIS_URL'),
    host: text('REDIS_HOST'),
    port: number('REDIS_PORT'),
    username: text('REDIS_USERNAME'),
    password: text('REDIS_PASSWORD'),
    database: number('REDIS_DB'),
    clusterNodes: nodes('REDIS_CLUSTER_NODES'),
    sentinels: nodes('REDIS_SENTINEL_NODES'),
    sentinelName: text('REDIS_SERVICE_NAME'),
    sentinelPassword: text('REDIS_SENTINEL_PASSWORD'),
    ssl: ssl === undefined ? undefined : ssl === 'true' || ssl === '1',
    tls: tlsOf({
      ssl_ca_certs: text('REDIS_SSL_CA_CERTS'),
      ssl_certfile: text('REDIS_SSL_CERTFILE'),
      ssl_keyfile: text('REDIS_SSL_KEYFILE'),
      ssl_cert_reqs: text('REDIS_SSL_CERT_REQS'),
    }),
  };
}

/** TLS in the words of Python's client, which LiteLLM passes on. */
export function tlsOf(options: {
  readonly ssl_ca_certs?: string | undefined;
  readonly ssl_certfile?: string | undefined;
  readonly ssl_keyfile?: string | undefined;
  readonly ssl_cert_reqs?: string | null | undefined;
  readonly ssl_check_hostname?: boolean | undefined;
}): Partial<RedisTls> {
  const { ssl_ca_certs: authorityFile, ssl_certfile: certificateFile, ssl_keyfile: keyFile } = options;
  const requirement = options.ssl_cert_reqs;
  return {
    ...(authorityFile === undefined ? {} : { authorityFile }),
    ...(certificateFile === undefined ? {} : { certificateFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(requirement === undefined ? {} : { verify: requirement !== null && !/^(cert_)?none$/i.test(requirement) }),
    ...(options.ssl_check_hostname === undefined ? {} : { checkHost: options.ssl_check_hostname }),
  };
}
