import { describe, expect, test } from 'vitest';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { brought, specOf } from './specs.ts';
import { resourcesOf, synthesize } from './synthesize.ts';

const withRegion = (changes: Partial<PlatformSpec['regions'][number]>): PlatformSpec => {
  const spec = specOf('critical', 'active-active', 2);
  const regions = spec.regions.map((region, index) => (index === 0 ? { ...region, ...changes } : region));
  return { ...spec, regions, regionSwitchPlan: true, cluster: { addons: ['drills'] } };
};

describe('a cluster that was brought along', () => {
  const synthesis = synthesize(definePlatform(withRegion(brought)));
  const own = synthesis.stacks.filter(({ region }) => region === 'us-east-1');

  test('is not made again, while the other region gets one', () => {
    const clusters = resourcesOf(synthesis.stacks, 'AWS::EKS::Cluster');
    expect(clusters.map(({ stack }) => stack.region)).toEqual(['us-west-2']);
    expect(synthesis.missing).toEqual([]);
  });

  test('gives our pods their rights and lets in who drills and who recovers, by its name', () => {
    const identities = resourcesOf(own, 'AWS::EKS::PodIdentityAssociation');
    const entries = resourcesOf(own, 'AWS::EKS::AccessEntry');
    expect(identities.length).toBeGreaterThan(0);
    expect(entries).toHaveLength(2);
    for (const { Properties } of [...identities, ...entries]) expect(Properties['ClusterName']).toBe('shared');
    const everything = JSON.stringify(synthesis.stacks);
    expect(everything).toContain('arn:aws:eks:us-east-1:222222222222:cluster/shared');
    expect(everything).not.toContain('cluster/acme-production-us-east-1"');
  });

  test('reaches the stores and is reached by the load balancer, by its security group', () => {
    const rules = resourcesOf(own, 'AWS::EC2::SecurityGroupIngress');
    const group = brought.cluster.securityGroupId;
    const from = rules.filter(({ Properties }) => Properties['SourceSecurityGroupId'] === group);
    expect(new Set(from.map(({ Properties }) => Properties['FromPort']))).toEqual(new Set([5432, 6379]));
    const to = rules.filter(({ Properties }) => Properties['GroupId'] === group);
    expect(to.map(({ Properties }) => Properties['FromPort'])).toEqual([4000]);
  });

  test('is refused without its network, and by names that are none', () => {
    const cluster = { name: 'a b', securityGroupId: 'group' };
    expect(() => definePlatform(withRegion({ cluster }))).toThrow(
      /cluster\.name: "a b"[^]*cluster\.securityGroupId: "group"[^]*stands in a network already/,
    );
  });
});
