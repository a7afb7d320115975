/** Descriptions of platforms, for tests that vary one thing. */
import type { PlatformSpec, TierName, TopologyName } from '../../lib/platform/spec.ts';

/** Every combination of tier and topology that keeps its promise, and the two that cannot. */
export const tierNames: readonly TierName[] = ['standard', 'high', 'critical'];
export const topologyNames: readonly TopologyName[] = ['single-region', 'active-passive', 'active-active'];

const regions = [
  { region: 'us-east-1', role: 'primary', zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16' },
  { region: 'us-west-2', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16' },
  { region: 'eu-west-1', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.2.0.0/16' },
] as const;

/** A sound description: three regions, active-passive, tier high; `changes` replace its fields. */
export function spec(changes: Partial<PlatformSpec> = {}): PlatformSpec {
  return {
    name: 'acme',
    environment: 'production',
    account: '222222222222',
    domain: 'gateway.acme.example',
    hostedZone: { name: 'acme.example', id: 'Z0ACME' },
    tier: 'high',
    topology: 'active-passive',
    regions,
    image: 'registry.acme.example/gateway:1',
    ...changes,
  };
}

/** A sound description of a tier and topology, with as many of the three regions as the topology has. */
export function specOf(
  tier: TierName,
  topology: TopologyName,
  count = topology === 'single-region' ? 1 : 3,
): PlatformSpec {
  const needsWitness = tier === 'critical' && count === 2;
  return spec({
    tier,
    topology,
    regions: regions.slice(0, count),
    ...(needsWitness && { witnessRegion: 'us-east-2' }),
  });
}

/** What a region may bring along: a network over three zones and a cluster in it. */
export const brought = {
  network: {
    vpcId: 'vpc-0123456789abcdef0',
    publicSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'],
    privateSubnetIds: ['subnet-0123456789abcdef3', 'subnet-0123456789abcdef4', 'subnet-0123456789abcdef5'],
    isolatedSubnetIds: ['subnet-0123456789abcdef6', 'subnet-0123456789abcdef7', 'subnet-0123456789abcdef8'],
  },
  cluster: { name: 'shared', securityGroupId: 'sg-0123456789abcdef0' },
} as const;

/** A database that stands in that network. */
export const broughtDatabase = (region: string) => ({
  identifier: 'ledger',
  securityGroupId: 'sg-0fedcba9876543210',
  subnetGroupName: 'stores',
  secretArn: `arn:aws:secretsmanager:${region}:222222222222:secret:ledger-AbCdEf`,
  secretKeyArn: `arn:aws:kms:${region}:222222222222:key/00000000-0000-0000-0000-000000000000`,
});
