import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { find, type Manifest, migrationOf, objectsOf } from './manifests.ts';
import { guide, litellm, type Parity, patterns } from './parity.ts';
import { ofTier } from './platforms.ts';

const ownDatabases = ofTier('high', { kind: 'generic', addons: ['postgres', 'redis'] });

const platforms: Readonly<Record<string, readonly Manifest[]>> = {
  standard: objectsOf(ofTier('standard'), 'us-east-1'),
  high: objectsOf(ofTier('high', { addons: ['drills', 'pgbouncer'] }), 'us-east-1'),
  critical: objectsOf(ofTier('critical', { autoscaler: 'keda' }), 'us-east-1'),
  nginx: objectsOf(ofTier('standard', { kind: 'generic', ingress: 'ingress-nginx' }), 'us-east-1'),
  generic: objectsOf(ownDatabases, 'us-east-1'),
  'generic-standby': objectsOf(ownDatabases, 'us-west-2'),
};

describe.each([
  ['LiteLLM: High availability', litellm],
  ['High availability patterns', patterns],
  ['Deployment guide', guide],
] as const)('%s', (_document, rows) => {
  it('has each field once', () => {
    expect(new Set(rows.map(({ field }) => field)).size).toBe(rows.length);
  });

  it.each(rows.map((row) => [row.field, row] as const))('%s', (_field, row: Parity) => {
    if (!('at' in row)) {
      expect(row.because.length).toBeGreaterThan(10);
      return;
    }
    const [platform, kind, name, path] = row.at;
    const objects = platforms[platform] ?? [];
    const object = name === 'migration' ? migrationOf(objects) : find(objects, kind, name);
    // A name with dots is one step.
    expect(fieldAt(object, path)).toEqual(row.ours ?? row.value);
    if (row.ours !== undefined) expect(row.because).toBeDefined();
  });
});

describe('what the first document says in files of other programs', () => {
  const redis = (name: string): string =>
    String(fieldAt(find(platforms['generic'] ?? [], 'ConfigMap', name), 'data.start¹sh'));

  it('PgBouncer has its numbers; passwords are hashed better than by MD5', () => {
    const settings = String(fieldAt(find(platforms['high'] ?? [], 'ConfigMap', 'pgbouncer'), 'data.pgbouncer¹ini'));
    for (const line of [
      'listen_addr = 0.0.0.0',
      'listen_port = 6432',
      'pool_mode = transaction',
      'max_client_conn = 1000',
      'default_pool_size = 25',
      'reserve_pool_size = 5',
      'reserve_pool_timeout = 3',
      'server_idle_timeout = 600',
      'server_lifetime = 3600',
      'server_connect_timeout = 15',
      'auth_type = scram-sha-256',
    ]) {
      expect(settings).toContain(`${line}\n`);
    }
  });

  it('Sentinel has its numbers, and Redis keeps a log of its writes', () => {
    for (const line of [
      'port 26379',
      'down-after-milliseconds mymaster 5000',
      'parallel-syncs mymaster 1',
      'failover-timeout mymaster 10000',
    ]) {
      expect(redis('redis-sentinel')).toContain(`${line}\n`);
    }
    expect(redis('redis-sentinel')).toMatch(/sentinel monitor mymaster \$leader 6379 2\n/);
    expect(redis('redis')).toContain('--appendonly yes');
  });

  it('Patroni has its numbers', () => {
    const patroni = parse(readFileSync(new URL('../../gateway/deploy/patroni.yml', import.meta.url), 'utf8'));
    expect(patroni).toMatchObject({
      restapi: { listen: '0.0.0.0:8008', connect_address: 'postgres-1:8008' },
      etcd3: { hosts: 'etcd-1:2379,etcd-2:2379,etcd-3:2379' },
      bootstrap: {
        dcs: {
          ttl: 30,
          loop_wait: 10,
          retry_timeout: 10,
          maximum_lag_on_failover: 1_048_576,
          postgresql: {
            use_pg_rewind: true,
            parameters: { wal_level: 'replica', hot_standby: 'on', max_wal_senders: 10, max_replication_slots: 10 },
          },
        },
      },
    });
    const { ttl, loop_wait: loopWait, retry_timeout: retryTimeout } = patroni.bootstrap.dcs;
    expect(loopWait + 2 * retryTimeout).toBeLessThanOrEqual(ttl);
  });
});

/** Like `at`, with `¹` for a dot inside a name. */
function fieldAt(object: unknown, path: string): unknown {
  const steps = path.split('.').map((step) => step.replaceAll('¹', '.'));
  return steps.reduce<unknown>((current, step) => (current === undefined ? undefined : Object(current)[step]), object);
}
