/**
 * Names that AWS takes, however long or odd the name in a description is. The rules are those of the services' published
 * models (botocore) and, where a model has none, of the service's own guide.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BucketKind,
  backupVaultName,
  bucketName,
  cacheName,
  canaryName,
  clusterName,
  databaseIdentifier,
  deliveryStackName,
  dnsStackName,
  entranceName,
  loadBalancerName,
  prefix,
  readReplicaIdentifier,
  recordsReaderName,
  regionalStackKinds,
  regionSwitchRoleName,
  replicatedBuckets,
  repositoryName,
  rotationScheduleName,
  stackName,
  targetGroupName,
  topicName,
} from '../../lib/platform/names.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import { knownRegions } from '../../lib/platform/regions.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { findFaults } from '../../lib/platform/validate.ts';
import { spec } from './specs.ts';
import { synthesize } from './synthesize.ts';

/** 1 to `most` characters, with single hyphens between letters and digits. */
const plain = (most: number): RegExp => new RegExp(`^(?=.{1,${most}}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$`);
const loadBalancer = /^(?!internal-)(?=.{1,32}$)[a-zA-Z0-9]+(-+[a-zA-Z0-9]+)*$/;
const bucket = /^(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
const atMost = (most: number): RegExp => new RegExp(`^[\\w/.#:-]{1,${most}}$`);

/** Rule of a property that names a resource, by the resource's type and the property. */
const rules: Readonly<Record<string, RegExp>> = {
  'AWS::Backup::BackupVault BackupVaultName': /^[\w-]{2,50}$/,
  'AWS::Backup::RestoreTestingPlan RestoreTestingPlanName': /^\w{1,50}$/,
  'AWS::CloudWatch::Alarm AlarmName': atMost(255),
  'AWS::CloudWatch::Dashboard DashboardName': atMost(255),
  'AWS::ECR::Repository RepositoryName': /^(?=.{2,256}$)[a-z0-9]+(-[a-z0-9]+)*(\/[a-z0-9]+(-[a-z0-9]+)*)*$/,
  'AWS::EKS::Cluster Name': /^[0-9A-Za-z][\w-]{0,99}$/,
  'AWS::ElastiCache::ReplicationGroup ReplicationGroupId': plain(40),
  'AWS::ElasticLoadBalancingV2::LoadBalancer Name': loadBalancer,
  'AWS::ElasticLoadBalancingV2::TargetGroup Name': loadBalancer,
  'AWS::IAM::Role RoleName': atMost(64),
  'AWS::KMS::Alias AliasName': /^alias\/(?!aws\/)[\w/-]{1,250}$/,
  'AWS::Logs::LogGroup LogGroupName': atMost(512),
  'AWS::RDS::DBInstance DBInstanceIdentifier': plain(63),
  'AWS::RDS::EventSubscription SubscriptionName': atMost(255),
  'AWS::S3::Bucket BucketName': bucket,
  'AWS::SNS::Topic TopicName': atMost(256),
  'AWS::Scheduler::Schedule Name': atMost(64),
  'AWS::SecretsManager::Secret Name': atMost(512),
  'AWS::Synthetics::Canary Name': /^[0-9a-z_-]{1,255}$/,
  'AWS::WAFv2::WebACL Name': /^[\w-]{1,128}$/,
  'AWS::ARCRegionSwitch::Plan Name': /^(?=.{1,32}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
};

const kinds: readonly BucketKind[] = [...replicatedBuckets, 'claim', 'takeover', 'logs', 'canary'];

/** What the platform's own functions make, with the rule for each. */
function namesOf(platform: Platform): (readonly [string, RegExp])[] {
  const global: (readonly [string, RegExp])[] = [
    [cacheName(platform), plain(40)],
    [regionSwitchRoleName(platform), atMost(64)],
    [recordsReaderName(platform), atMost(64)],
    [deliveryStackName(platform), plain(128)],
    [dnsStackName(platform), plain(128)],
    [canaryName(platform), /^[0-9a-z_-]{1,255}$/],
    [backupVaultName(platform), /^[\w-]{2,50}$/],
    [topicName(platform, 'critical'), atMost(256)],
    [repositoryName(platform), rules['AWS::ECR::Repository RepositoryName'] ?? /^$/],
    [prefix(platform), /^(?=.{1,32}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/],
  ];
  return platform.regions.reduce((names, region) => {
    const { region: name } = region;
    const thousandth = { ...region, databaseGeneration: 1_000 };
    return [
      ...names,
      ...kinds.map((kind) => [bucketName(platform, region, kind), bucket] as const),
      ...regionalStackKinds.map((kind) => [stackName(platform, name, kind), plain(128)] as const),
      [loadBalancerName(platform, name), loadBalancer],
      [targetGroupName(platform, name), loadBalancer],
      [entranceName(platform, name), loadBalancer],
      [databaseIdentifier(platform, thousandth), plain(63)],
      [readReplicaIdentifier(platform, thousandth, 2), plain(63)],
      [clusterName(platform, name), /^[0-9A-Za-z][\w-]{0,99}$/],
      [rotationScheduleName(platform, name), atMost(64)],
    ];
  }, global);
}

const inRegions = (one: string, two: string, changes: Partial<PlatformSpec>): PlatformSpec =>
  spec({
    tier: 'standard',
    regions: [
      { region: one, role: 'primary', zones: ['a', 'b'], cidr: '10.0.0.0/16' },
      { region: two, role: 'standby', zones: ['a', 'b'], cidr: '10.1.0.0/16' },
    ],
    ...changes,
  });

const part = fc.stringMatching(/^[a-z][a-z0-9-]{0,19}$/);
const name = fc.oneof(part, fc.constantFrom('internal', 'sthree', 'amzn-s3-demo', 'a--b', 'internal-api', 'internals'));
const twoRegions = fc.uniqueArray(fc.constantFrom(...knownRegions), { minLength: 2, maxLength: 2 });

test('every name that a description may have makes names that AWS takes', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      name,
      fc.constantFrom('dev' as const, 'staging' as const, 'production' as const),
      twoRegions,
      (given, environment, [one = '', two = '']) => {
        const description = inRegions(one, two, { name: given, environment });
        if (findFaults(description).length > 0) return;
        accepted++;
        for (const [made, rule] of namesOf(definePlatform(description))) expect(made).toMatch(rule);
      },
    ),
  );
  expect(accepted).toBeGreaterThan(10);
});

test.each([
  ['a--b', 'single hyphens'],
  ['a-', 'single hyphens'],
  ['internal', 'keeps for itself'],
  ['sthree', 'keeps for itself'],
])('the name %s is refused with its reason', (given, reason) => {
  const faults = findFaults(spec({ name: given }));
  expect(faults).toEqual([expect.stringContaining(reason)]);
});

describe('the longest names that a description may have', () => {
  const longest = inRegions('us-east-1', 'us-west-2', { name: 'twenty-letters-or-so', regionSwitchPlan: true });
  const { stacks } = synthesize(definePlatform(longest));
  const named = stacks.flatMap(({ template }) =>
    Object.entries(template.Resources).flatMap(([id, { Type, Properties }]) =>
      Object.entries(Properties).flatMap(([property, value]) =>
        typeof value === 'string' && `${Type} ${property}` in rules ? [{ id, rule: `${Type} ${property}`, value }] : [],
      ),
    ),
  );

  test('are as long as they can be', () => {
    expect(named.some(({ value }) => value.length === 63)).toBe(true);
    expect(findFaults({ ...longest, name: 'twenty-and-one-letter' })).not.toEqual([]);
  });

  test('stand in no template where AWS would refuse them, and every kind of resource with a name is looked at', () => {
    for (const { id, rule, value } of named) expect(value, `${rule} of ${id}`).toMatch(rules[rule] ?? /^$/);
    const seen = new Set(named.map(({ rule }) => rule));
    expect(Object.keys(rules).filter((rule) => !seen.has(rule))).toEqual([]);
  });

  test('no two resources of a region have the same name', () => {
    for (const { region } of stacks) {
      const here = stacks.filter((stack) => stack.region === region);
      const names = here.flatMap(({ template }) =>
        Object.values(template.Resources).flatMap(({ Type, Properties }) => {
          const property =
            Object.keys(rules)
              .find((rule) => rule.startsWith(`${Type} `))
              ?.split(' ')[1] ?? '';
          const value = Properties[property];
          return typeof value === 'string' ? [`${Type} ${value}`] : [];
        }),
      );
      expect(names.length).toBe(new Set(names).size);
    }
  });
});
