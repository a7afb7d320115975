import { describe, expect, test } from 'vitest';
import { stackName } from '../../lib/platform/names.ts';
import { definePlatform, PlatformError } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { specOf } from './specs.ts';
import { resourcesOf, type Stack, stackNamed, synthesize } from './synthesize.ts';

const platform = definePlatform({ ...specOf('high', 'active-passive'), globalCache: true });
const cacheIn = (region: string): Stack =>
  stackNamed(synthesize(platform).stacks, stackName(platform, region, 'cache'));
const only = (region: string, type: string) => {
  const [found, ...others] = resourcesOf([cacheIn(region)], type);
  expect(others).toEqual([]);
  return found?.Properties;
};

describe('one cache over all regions', () => {
  test('is led by the primary’s, whose password every standby has', () => {
    expect(only('us-east-1', 'AWS::ElastiCache::GlobalReplicationGroup')?.['Members']).toEqual([
      { ReplicationGroupId: { Ref: expect.any(String) }, ReplicationGroupRegion: 'us-east-1', Role: 'PRIMARY' },
    ]);
    expect(only('us-east-1', 'AWS::SecretsManager::Secret')?.['ReplicaRegions']).toEqual([
      { Region: 'us-west-2' },
      { Region: 'eu-west-1' },
    ]);
    expect(only('us-east-1', 'AWS::ElastiCache::ReplicationGroup')).not.toHaveProperty('GlobalReplicationGroupId');
  });

  test.each(['us-west-2', 'eu-west-1'])('is followed in %s, which states nothing that it has from there', (region) => {
    const group = only(region, 'AWS::ElastiCache::ReplicationGroup') ?? {};
    expect(group).toMatchObject({
      GlobalReplicationGroupId: { Ref: 'GlobalCacheId' },
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
    });
    const inherited = ['Engine', 'EngineVersion', 'CacheNodeType', 'NumNodeGroups', 'CacheParameterGroupName'];
    const guarded = ['AuthToken', 'TransitEncryptionEnabled', 'AtRestEncryptionEnabled'];
    expect(Object.keys(group).filter((name) => [...inherited, ...guarded].includes(name))).toEqual([]);
    expect(only(region, 'AWS::SecretsManager::Secret')).toBeUndefined();
    expect(cacheIn(region).template.Parameters['GlobalCacheId']).not.toHaveProperty('Default');
  });

  test('is there only when it is asked for', () => {
    const { stacks } = synthesize(definePlatform(specOf('high', 'active-passive')));
    expect(resourcesOf(stacks, 'AWS::ElastiCache::GlobalReplicationGroup')).toEqual([]);
    expect(stacks.filter(({ template }) => 'GlobalCacheId' in template.Parameters)).toEqual([]);
  });
});

const faultsOf = (spec: PlatformSpec): readonly string[] => {
  try {
    definePlatform({ ...spec, globalCache: true });
    return [];
  } catch (error) {
    return error instanceof PlatformError ? error.faults : [String(error)];
  }
};

test.each([
  ['where every region writes', specOf('high', 'active-active'), /every region writes its counters/],
  ['with one region', specOf('standard', 'single-region'), /there is no other region/],
  [
    'with nodes of different types',
    {
      ...specOf('high', 'active-passive', 2),
      regions: specOf('high', 'active-passive', 2).regions.map((region, index) => ({
        ...region,
        ...(index === 1 && { cacheNodeType: 'cache.r7g.xlarge' }),
      })),
    },
    /same node type, regions have cache\.r7g\.large, cache\.r7g\.xlarge/,
  ],
  [
    'with nodes that cannot',
    {
      ...specOf('high', 'active-passive', 2),
      regions: specOf('high', 'active-passive', 2).regions.map((each) => ({
        ...each,
        cacheNodeType: 'cache.t4g.medium',
      })),
    },
    /has no nodes of cache\.t4g\.medium/,
  ],
])('it is refused %s', (_, spec, fault) => {
  expect(faultsOf(spec).join('\n')).toMatch(fault);
});
