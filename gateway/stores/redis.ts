/** The one place that makes Redis clients. Redis may vanish at any time; no command waits for its return. */
import { Redis } from 'ioredis';

const connectTimeoutMs = 2_000;
const commandTimeoutMs = 500;
const longestReconnectMs = 2_000;

/** @param onError told of broken connections; the client reconnects by itself, for ever. */
export function openRedis(url: string, name: string, onError: (error: Error) => void): Redis {
  const client = new Redis(url, {
    lazyConnect: true,
    connectionName: `holdfast-${name}`,
    connectTimeout: connectTimeoutMs,
    // A server that keeps its socket open and says nothing is as dead as one that is gone.
    commandTimeout: commandTimeoutMs,
    // Commands that wait for a connection would be a queue without a bound.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    keepAlive: 10_000,
    retryStrategy: (attempt) =>
      Math.min(50 * 2 ** Math.min(attempt, 10) * (0.5 + Math.random() / 2), longestReconnectMs),
  });
  client.on('error', onError);
  return client;
}
