import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { selfSignedCertificate } from '../../../runbooks/lab/certificate.ts';
import { until } from '../../support/processes.ts';
import { lazyCluster, lazySentinels, lazyTlsRedis } from '../../support/redis-sets.ts';

const tlsRedis = lazyTlsRedis('a word');
const sentinels = lazySentinels();
const cluster = lazyCluster();

describe('Redis in its other forms', () => {
  it('speaks TLS only, to those who trust its certificate', async () => {
    const { url, port, tls } = await tlsRedis();
    const ping = async (address: string, ca?: string): Promise<string> => {
      const client = new Redis(address, {
        lazyConnect: true,
        retryStrategy: () => null,
        ...(ca === undefined ? {} : { tls: { ca } }),
      });
      const errors: string[] = [];
      client.on('error', (error) => errors.push(error.message));
      try {
        await client.connect();
        return await client.ping();
      } catch {
        return errors.join(' ');
      } finally {
        client.disconnect();
      }
    };
    expect(await ping(url, tls.certificate)).toBe('PONG');
    expect(await ping(url, selfSignedCertificate().certificate)).toMatch(/self-signed|certificate/);
    expect(await ping(`redis://127.0.0.1:${port}`)).not.toContain('PONG');
  });

  it('a Sentinel set replaces a primary that was killed', async () => {
    const set = await sentinels();
    const first = await set.primary();
    expect(first).toBe(set.servers[0]);
    first.kill('SIGKILL');
    await until(async () => (await set.primary()) !== first, 10_000);
  });

  it('a Cluster takes keys of every slot', async () => {
    const { nodes } = await cluster();
    const client = new Cluster([...nodes]);
    try {
      await Promise.all(Array.from({ length: 100 }, (_, index) => client.set(`key ${index}`, index)));
      expect(await client.get('key 99')).toBe('99');
    } finally {
      client.disconnect();
    }
  });
});
