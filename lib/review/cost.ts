/** The monthly cost of what stands, by stack, from the templates. What depends on use is not in it. */
import { dnsStackName, regionalStackKinds, stackName } from '../platform/names.ts';
import { nodesFor } from '../platform/nodes.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { prices, regionFactor } from './prices.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { table } from './table.ts';
import type { SynthesizedStack } from './template.ts';
import { wrap } from './wrap.ts';

type Properties = Readonly<Record<string, unknown>>;

const countOf = (value: unknown): number => (Array.isArray(value) ? value.length : 0);
const hourly = (perHour: number): number => perHour * prices.hoursPerMonth;
const pricedBy = (list: Readonly<Record<string, number>>, name: unknown): number => list[String(name)] ?? 0;

/** Dollars a month of one resource, by type; a type that is not here costs nothing, or only by use. */
const costs: Readonly<Record<string, (properties: Properties, platform: Platform) => number>> = {
  'AWS::EC2::NatGateway': () => hourly(prices.natGatewayHour),
  'AWS::EC2::EIP': () => hourly(prices.publicAddressHour),
  'AWS::EC2::VPCEndpoint': ({ VpcEndpointType, SubnetIds }) =>
    VpcEndpointType === 'Interface' ? hourly(prices.interfaceEndpointHour) * countOf(SubnetIds) : 0,
  'AWS::ElasticLoadBalancingV2::LoadBalancer': () => hourly(prices.loadBalancerHour),
  'AWS::EKS::Cluster': () => hourly(prices.clusterHour),
  'AWS::WAFv2::WebACL': ({ Rules }) => prices.firewall + prices.firewallRule * countOf(Rules),
  'AWS::KMS::Key': () => prices.key,
  'AWS::KMS::ReplicaKey': () => prices.key,
  'AWS::SecretsManager::Secret': ({ ReplicaRegions }) => prices.secret * (1 + countOf(ReplicaRegions)),
  'AWS::CloudWatch::Alarm': ({ Metrics }) => prices.alarmMetric * Math.max(1, countOf(Metrics) - 1),
  'AWS::CloudWatch::Dashboard': () => prices.dashboard,
  'AWS::Synthetics::Canary': () => prices.canaryRun * prices.hoursPerMonth * 60,
  'AWS::Route53::HealthCheck': ({ HealthCheckConfig }) =>
    prices.healthCheck + prices.healthCheckOption * optionsOf(Object(HealthCheckConfig)),
  'AWS::Route53::HostedZone': () => prices.hostedZone,
  'AWS::ARCRegionSwitch::Plan': () => prices.regionSwitchPlan,
  'AWS::RDS::DBInstance': ({ DBInstanceClass, MultiAZ }, { tier }) => {
    const zones = MultiAZ === true ? 2 : 1;
    const storage = prices.databaseGibMonth * tier.database.allocatedStorageGiB;
    return zones * (hourly(pricedBy(prices.databaseHour, DBInstanceClass)) + storage);
  },
  // One that follows a Global Datastore has the same nodes as all others.
  'AWS::ElastiCache::ReplicationGroup': ({ CacheNodeType, ReplicasPerNodeGroup }, { primary }) =>
    hourly(pricedBy(prices.cacheHour, CacheNodeType ?? primary.cacheNodeType)) * (1 + Number(ReplicasPerNodeGroup)),
};

const optionsOf = (check: Properties): number =>
  [check['Type'] === 'HTTPS', check['RequestInterval'] === 10, check['MeasureLatency'] === true].filter(Boolean).length;

/** Dollars a month of a stack's resources. */
export const costOf = ({ template, region }: SynthesizedStack, platform: Platform): number =>
  regionFactor(region) *
  Object.values(template.Resources).reduce(
    (sum, { Type, Properties }) => sum + (costs[Type]?.(Properties ?? {}, platform) ?? 0),
    0,
  );

/** Nodes that Auto Mode runs for the gateways, as far as that can be told, and those that are kept beyond them. */
const nodesOf = ({ gatewayReplicas, availabilityZones, reservedNodesPerZone }: Region): number =>
  Math.max(nodesFor(gatewayReplicas, availabilityZones.length), reservedNodesPerZone * availabilityZones.length);

/** Estimated cost by stack. */
export function costSection({ platform, stacks }: Review): Section {
  const named = (name: string): number => {
    const stack = stacks.find((candidate) => candidate.name === name);
    return stack === undefined ? 0 : costOf(stack, platform);
  };
  const rows = platform.regions.map((region) => {
    const kinds = regionalStackKinds.map((kind) => named(stackName(platform, region.region, kind)));
    const nodes = hourly(prices.nodeHour) * nodesOf(region) * regionFactor(region.region);
    const all = [...kinds, nodes];
    return [region.region, ...all, all.reduce((sum, cost) => sum + cost, 0)].map(dollars);
  });
  const regional = new Set(
    platform.regions.flatMap(({ region }) => regionalStackKinds.map((kind) => stackName(platform, region, kind))),
  );
  const others = stacks.filter(({ name }) => !regional.has(name));
  const total =
    others.reduce((sum, stack) => sum + costOf(stack, platform), 0) +
    rows.reduce((sum, row) => sum + Number(row.at(-1)), 0);
  return {
    title: `Estimated cost: about ${dollars(total)} $ a month (an estimate)`,
    lines: [
      ...table(['$/month', ...regionalStackKinds, 'nodes', 'total'], rows),
      '',
      ...others.map((stack) => `${stack.name}: ${dollars(costOf(stack, platform))} $`),
      ...wrap(
        `List prices on demand of us-east-1 as of ${prices.asOf}, other regions by a rough factor. Not in it: traffic (also through NAT and between regions), requests, stored objects and backups, logs, capacity units of load balancers, more nodes under load, GPUs, support; and what the providers charge. ${dnsStackName(platform)} has no cost by region.`,
      ),
    ],
  };
}

const dollars = (value: string | number): string | number => (typeof value === 'number' ? Math.round(value) : value);
