/**
 * What AWS tells of a standby, over the wire: quotas (botocore, service-quotas/2019-06-24) by calls that are signed here, the
 * metric by CloudWatch's own client.
 */
import { afterEach, expect, it } from 'vitest';
import { backupNames } from '../../../lib/platform/backups.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { readinessPolicy } from '../../../runbooks/aws/policy.ts';
import { quotaNeeds } from '../../../runbooks/aws/quotas.ts';
import { putReadiness } from '../../../runbooks/aws/ready-metrics.ts';
import { awsReadiness, neededPods, readinessOf } from '../../../runbooks/aws/region-readiness.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { startWire, type Wire, type WireAnswer, type WireCall } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const platform = definePlatform(spec());
const policy = readinessPolicy(platform, { claims: [], takeovers: [], journals: [] });
const [east, west] = ['us-east-1', 'us-west-2'] as const;
let wire: Wire;
let clients: AwsClients;
afterEach(async () => {
  clients.destroy();
  await wire.close();
});

async function withServices(services: Readonly<Record<string, (call: WireCall) => WireAnswer>>): Promise<void> {
  wire = await startWire({ services });
  clients = new AwsClients(wire.access);
}

const asking = (images: Readonly<Record<string, string>> = {}) =>
  awsReadiness(clients, {
    copiedSecrets: [],
    ownSecrets: [],
    backups: backupNames,
    newestBackup: async () => ({ id: '1', takenAt: '2026-01-01T00:00:00Z', ageSeconds: 60 }),
    imageIn: async (region) => images[region] ?? 'image',
    quotaNeeds: () => [
      { service: 'ec2', code: 'L-1216C47A', what: 'vCPUs on demand', needed: 20 },
      { service: 'rds', code: 'L-7B6409FD', what: 'databases', needed: 3 },
    ],
  });

it('a quota that the platform would not fit in is told before it is needed; where nobody asked, AWS’s default counts', async () => {
  await withServices({
    servicequotas: ({ action, body }) => {
      const asked: { QuotaCode: string } = JSON.parse(body);
      if (asked.QuotaCode === 'L-1216C47A') return { json: { Quota: { Value: 5 } } };
      return action === 'GetServiceQuota'
        ? { json: { __type: 'NoSuchResourceException', message: 'none' }, status: 400 }
        : { json: { Quota: { Value: 40 } } };
    },
  });
  expect(await asking()(west, east, signal)).toContainEqual({
    check: 'quotas',
    is: 'failed',
    note: '5 vCPUs on demand, 20 are needed: ask for more (Service Quotas), it takes days',
  });
  expect(wire.calls.map(({ region }) => region)).toEqual([west, west, west]);
  expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
});

it('what AWS does not say is not known, and not ready', async () => {
  await withServices({
    servicequotas: () => ({ json: { __type: 'AccessDeniedException', message: 'not allowed' }, status: 400 }),
  });
  expect(await asking()(west, east, signal)).toContainEqual({
    check: 'quotas',
    is: 'unknown',
    note: 'AccessDeniedException: not allowed',
  });
});

it('compares images by their digest: each region pulls from its own registry', async () => {
  await withServices({ servicequotas: () => ({ json: { Quota: { Value: 99 } } }) });
  const digest = (sign: string): string => `@sha256:${sign.repeat(64)}`;
  const same = { [east]: `one.example/gateway${digest('a')}`, [west]: `two.example/gateway${digest('a')}` };
  expect(await asking(same)(west, east, signal)).toContainEqual(expect.objectContaining({ check: 'image', is: 'ok' }));
  const other = { ...same, [west]: `two.example/gateway${digest('b')}` };
  expect(await asking(other)(west, east, signal)).toContainEqual(
    expect.objectContaining({
      check: 'image',
      is: 'failed',
      note: expect.stringContaining(`${east} runs one.example`),
    }),
  );
});

it('is one metric a standby, in its own region, which its alarm reads; a region that takes none hides no other', async () => {
  const put: string[] = [];
  await withServices({
    monitoring: ({ region, body, fields }) => {
      if (region === east) return { json: { __type: 'InternalServiceFault', message: 'away' }, status: 400 };
      put.push(body === '' ? fields.toString() : body);
      return { json: {} };
    },
  });
  const results = [
    { region: east, checks: [] },
    { region: west, checks: [{ check: 'lag', is: 'unknown', note: '' }] as const },
  ];
  await expect(putReadiness(clients, results, signal)).rejects.toThrow(`readiness of ${east}`);
  expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
  expect(put).toEqual([expect.stringContaining('RegionReady')]);
});

it('needs what the platform has at its largest, and two addresses a zone', () => {
  const critical = definePlatform(spec({ tier: 'critical', witnessRegion: 'us-west-1' }));
  const needs = new Map(quotaNeeds(critical, critical.primary).map(({ what, needed }) => [what, needed]));
  expect(needs.get('Elastic IPs')).toBe(6);
  expect(needs.get('vCPUs on demand')).toBe(critical.tier.gateway.maxReplicas + 8);
});

it('asks of a standby only for what the platform makes, and for the pods that it is described to have', () => {
  const regionOf = (): typeof platform.primary => platform.primary;
  const least = readinessOf(platform, regionOf);
  expect(least.backups).toEqual(['postgresql-full', 'postgresql-wal', 'redis-rdb']);
  expect([least.copiedSecrets, least.ownSecrets]).toEqual([['acme-production/database'], []]);
  const all = definePlatform(spec({ cluster: { addons: ['vault', 'backup', 'agentgateway'], secretStore: 'aws' } }));
  expect(readinessOf(all, regionOf).backups).toEqual(backupNames);
  expect(readinessOf(all, regionOf).ownSecrets).toEqual(['acme-production/gateway']);
  const [standby = platform.primary] = platform.standbys;
  expect(neededPods(platform, platform.primary)).toEqual({ gateway: 3 });
  expect(neededPods(platform, standby)).toEqual({ gateway: 2 });
  expect(neededPods(all, standby)).toEqual({ gateway: 2, agentgateway: 2 });
});
