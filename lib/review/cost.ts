/** The monthly cost of what stands, by stack, from the templates. What depends on use is not in it. */
import { dnsStackName, regionalStackKinds, stackName } from '../platform/names.ts';
import { nodesFor } from '../platform/nodes.ts';
import type { Platform, Region } from '../platform/platform.ts';
import {
  asOf,
  cacheHours,
  databaseHours,
  hoursPerMonth,
  type Price,
  prices,
  regionFactor,
  trafficPrices,
} from './prices.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { table } from './table.ts';
import type { SynthesizedStack } from './template.ts';
import { wrap } from './wrap.ts';

type Properties = Readonly<Record<string, unknown>>;

const countOf = (value: unknown): number => (Array.isArray(value) ? value.length : 0);
const hourly = (perHour: number): number => perHour * hoursPerMonth;
const monthly = ({ usd, per }: Price): number => (per === 'hour' ? hourly(usd) : usd);
const pricedBy = (list: Readonly<Record<string, number>>, name: unknown): number => list[String(name)] ?? 0;

/** Dollars a month of one resource, by type; a type that is not here costs nothing, or only by use. */
const costs: Readonly<Record<string, (properties: Properties, platform: Platform) => number>> = {
  'AWS::EC2::NatGateway': () => monthly(prices.natGateway),
  'AWS::EC2::EIP': () => monthly(prices.publicAddress),
  'AWS::EC2::VPCEndpoint': ({ VpcEndpointType, SubnetIds }) =>
    VpcEndpointType === 'Interface' ? monthly(prices.interfaceEndpoint) * countOf(SubnetIds) : 0,
  // One that has no addresses given takes one in each zone.
  'AWS::ElasticLoadBalancingV2::LoadBalancer': ({ Scheme, Subnets }) =>
    monthly(prices.loadBalancer) +
    (Scheme === 'internet-facing' ? monthly(prices.publicAddress) * countOf(Subnets) : 0),
  'AWS::EKS::Cluster': () => monthly(prices.cluster),
  'AWS::WAFv2::WebACL': ({ Rules }) => monthly(prices.firewall) + monthly(prices.firewallRule) * countOf(Rules),
  'AWS::KMS::Key': () => monthly(prices.key),
  'AWS::KMS::ReplicaKey': () => monthly(prices.key),
  'AWS::SecretsManager::Secret': ({ ReplicaRegions }) => monthly(prices.secret) * (1 + countOf(ReplicaRegions)),
  'AWS::CloudWatch::Alarm': ({ Metrics }) => monthly(prices.alarmMetric) * Math.max(1, countOf(Metrics) - 1),
  'AWS::CloudWatch::Dashboard': () => monthly(prices.dashboard),
  'AWS::Synthetics::Canary': () => prices.canaryRun.usd * hoursPerMonth * 60,
  'AWS::Route53::HealthCheck': ({ HealthCheckConfig }) =>
    monthly(prices.healthCheck) + monthly(prices.healthCheckOption) * optionsOf(Object(HealthCheckConfig)),
  'AWS::Route53::HostedZone': () => monthly(prices.hostedZone),
  'AWS::ARCRegionSwitch::Plan': () => monthly(prices.regionSwitchPlan),
  'AWS::RDS::DBInstance': ({ DBInstanceClass, MultiAZ }, { tier }) => {
    const zones = MultiAZ === true ? 2 : 1;
    const storage = prices.databaseStorage.usd * tier.database.allocatedStorageGiB;
    return zones * (hourly(pricedBy(databaseHours, DBInstanceClass)) + storage);
  },
  // One that follows a Global Datastore has the same nodes as all others.
  'AWS::ElastiCache::ReplicationGroup': ({ CacheNodeType, ReplicasPerNodeGroup }, { primary }) =>
    hourly(pricedBy(cacheHours, CacheNodeType ?? primary.cacheNodeType)) * (1 + Number(ReplicasPerNodeGroup)),
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
    const nodes = monthly(prices.node) * nodesOf(region) * regionFactor(region.region);
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
        `List prices on demand of us-east-1 as of ${asOf}, other regions by a rough factor; each with its line of AWS’s price pages in lib/review/prices.ts. What was brought along is not in it. Not in it: traffic (also through NAT and between regions), requests, stored objects and backups, logs, capacity units of load balancers, more nodes under load, GPUs, support; and what the providers charge. ${dnsStackName(platform)} has no cost by region.`,
      ),
      ...wrap(
        Object.entries(trafficPrices)
          .map(([what, { usd }]) => `${what} ${(100 * usd).toFixed(2)} $`)
          .join(', '),
        'Traffic, for 100 GiB: ',
      ),
    ],
  };
}

const dollars = (value: string | number): string | number => (typeof value === 'number' ? Math.round(value) : value);
