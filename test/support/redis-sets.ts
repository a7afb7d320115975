/** Redis in its other forms, for the test file that asks: started at the first question, ended after its last test. */
import { afterAll } from 'vitest';
import { type Certificate, selfSignedCertificate } from '../../runbooks/lab/certificate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { type RedisCluster, startRedisCluster } from '../../runbooks/lab/redis-cluster.ts';
import { type RedisSentinelSet, type RedisSetOptions, startRedisSentinels } from '../../runbooks/lab/redis-sentinel.ts';

/** For a call at the top of a test file or in `describe`. Takes about three seconds when it is first asked. */
export const lazySentinels = (options?: RedisSetOptions): (() => Promise<RedisSentinelSet>) =>
  lazily(() => startRedisSentinels(options));

/** Likewise. */
export const lazyCluster = (options?: RedisSetOptions): (() => Promise<RedisCluster>) =>
  lazily(() => startRedisCluster(options));

/** A server that speaks TLS only, with the certificate that clients must be given. */
export const lazyTlsRedis = (password?: string): (() => Promise<RedisServer & { readonly tls: Certificate }>) =>
  lazily(async () => {
    const tls = selfSignedCertificate();
    const server = await startRedis({ port: await freePort(), tls, ...(password === undefined ? {} : { password }) });
    return { ...server, tls };
  });

function lazily<T extends { stop(): Promise<void> }>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  afterAll(async () => {
    // A start that failed was reported to the test that asked.
    const [result] = await Promise.allSettled([started]);
    if (result?.status === 'fulfilled') await result.value?.stop();
  });
  return () => (started ??= start());
}
