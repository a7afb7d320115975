/** The one place that makes Redis clients. Redis may vanish at any time; no command waits for its return. */
import { readFileSync } from 'node:fs';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisNode, type RedisSettings, type RedisTls } from '../domain/redis-settings.ts';

/** What both have: every command, `on`, `connect`, `disconnect`, `status`. In a Cluster, keys of one script share a slot. */
export type RedisClient = Redis | Cluster;

export interface RedisClientOptions {
  /** For commands that a request waits for: less than the usual time. */
  readonly commandTimeoutMs?: number;
}

const connectTimeoutMs = 2_000;
const defaultCommandTimeoutMs = 500;
/** A connection with commands out and nothing coming in is given up: else a hung primary would hide its successor. */
const socketTimeoutMs = 1_500;
/** A Redis that is back is used again within a second. */
const longestReconnectMs = 800;

/**
 * A client that is not connected yet: call `connect`. It reconnects by itself, for ever.
 * @param onError told of broken connections, at each attempt: count them or log them at `debug`.
 * @throws when a PEM file cannot be read.
 */
export function openRedis(url: string, name: string, onError: (error: Error) => void): Redis;
export function openRedis(
  where: RedisSettings | string,
  name: string,
  onError: (error: Error) => void,
  options?: RedisClientOptions,
): RedisClient;
export function openRedis(
  where: RedisSettings | string,
  name: string,
  onError: (error: Error) => void,
  { commandTimeoutMs = defaultCommandTimeoutMs }: RedisClientOptions = {},
): RedisClient {
  const settings = typeof where === 'string' ? parseRedisUrl(where) : where;
  if (settings === undefined) throw new Error('A Redis address must start with redis:// or rediss:// and name a host.');
  const { target, username, password, tls } = settings;
  const secure = tls === undefined ? {} : { tls: tlsOptions(tls) };
  const common = {
    ...secure,
    connectionName: `holdfast-${name}`,
    connectTimeout: connectTimeoutMs,
    // A server that keeps its socket open and says nothing is as dead as one that is gone.
    commandTimeout: commandTimeoutMs,
    socketTimeout: socketTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    keepAlive: 10_000,
    // After a failover an old connection may lead to a server that has become a replica.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  } satisfies RedisOptions;
  const client = target.is === 'cluster' ? cluster(target.nodes, common) : new Redis(oneServer(settings, common));
  client.on('error', onError);
  return client;
}

function oneServer({ target, database }: RedisSettings, common: RedisOptions): RedisOptions {
  const options = {
    ...common,
    db: database,
    lazyConnect: true,
    // Commands that wait for a connection would be a queue without a bound.
    enableOfflineQueue: false,
    retryStrategy: backoffMs,
  };
  if (target.is !== 'sentinel') return target.is === 'single' ? { ...options, ...target.node } : options;
  return {
    ...options,
    sentinels: [...target.sentinels],
    name: target.name,
    sentinelCommandTimeout: connectTimeoutMs,
    sentinelRetryStrategy: backoffMs,
    sentinelReconnectStrategy: backoffMs,
    // The Sentinels' word that the primary has changed; a frozen one would be waited for otherwise.
    failoverDetector: true,
    ...(target.username === undefined ? {} : { sentinelUsername: target.username }),
    ...(target.password === undefined ? {} : { sentinelPassword: target.password }),
    ...(common.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: common.tls }),
  };
}

function cluster(nodes: readonly RedisNode[], common: RedisOptions): Cluster {
  return new Cluster([...nodes], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: backoffMs,
    slotsRefreshTimeout: connectTimeoutMs,
    // Finds replicas that have taken over also when nobody's command is redirected.
    slotsRefreshInterval: 2_000,
    // A command is tried once more elsewhere, not sixteen times.
    maxRedirections: 3,
    retryDelayOnFailover: 50,
    retryDelayOnClusterDown: 50,
    redisOptions: common,
  });
}

const backoffMs = (attempt: number): number =>
  Math.min(50 * 2 ** Math.min(attempt, 10), longestReconnectMs) * (0.5 + Math.random() / 2);

function tlsOptions({ authorityFile, certificateFile, keyFile, verify, checkHost }: RedisTls) {
  return {
    ...(authorityFile === undefined ? {} : { ca: readFileSync(authorityFile) }),
    ...(certificateFile === undefined ? {} : { cert: readFileSync(certificateFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    rejectUnauthorized: verify,
    ...(checkHost ? {} : { checkServerIdentity: () => undefined }),
  };
}
