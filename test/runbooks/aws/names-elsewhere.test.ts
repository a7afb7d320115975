import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { awsWorld } from '../../../runbooks/aws/aws-world.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { spec } from '../../lib/specs.ts';
import { result, startWire } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const platform = definePlatform(
  spec({
    regions: spec().regions.map((region) => ({
      ...region,
      account: '333333333333',
      certificateArn: `arn:aws:acm:${region.region}:333333333333:certificate/x`,
    })),
  }),
);
const buckets = { claims: [], takeovers: [] };
const stack = `<Stacks><member><StackName>acme-production-dns</StackName><StackStatus>UPDATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime><Parameters><member><ParameterKey>FailbackPercent</ParameterKey><ParameterValue>5</ParameterValue></member></Parameters></member></Stacks>`;

const directory = mkdtempSync(join(tmpdir(), 'holdfast-profile-'));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

it('shares of clients are asked for by the profile of the names’ account, and nothing else is', async () => {
  const file = join(directory, 'credentials');
  writeFileSync(file, '[names]\naws_access_key_id = AKIDNAMES\naws_secret_access_key = another-secret\n');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
  vi.stubEnv('AWS_CONFIG_FILE', join(directory, 'none'));
  const wire = await startWire({
    services: { cloudformation: ({ action }) => result(action, stack), rds: () => result('DescribeDBInstances', '') },
  });
  const common = { platform, access: wire.access, ...buckets, databaseUrl: () => '', key: '' };
  const world = awsWorld({ ...common, namesProfile: () => 'names' });
  const blind = awsWorld(common);
  try {
    await expect(world.shares.read('us-east-1', signal)).resolves.toBe(5);
    expect(wire.calls.map(({ keyId, region }) => [keyId, region])).toEqual([['AKIDNAMES', platform.dnsRegion]]);
    await expect(blind.shares.read('us-east-1', signal)).rejects.toThrow(/AWS profile of 222222222222/);
    expect(wire.calls).toHaveLength(1);
  } finally {
    await Promise.all([world.close(), blind.close(), wire.close()]);
  }
});

it('the policy names the stack with the shares in its account, by a name that says whose right it is', () => {
  const policy = policyOf('region-failback', platform, { ...buckets, journals: [] });
  expect(policy?.Statement.find(({ Sid }) => Sid === 'SetTheShareByTheProfileOfTheNames')?.Resource).toEqual([
    'arn:aws:cloudformation:us-west-2:222222222222:stack/acme-production-dns/*',
  ]);
});
