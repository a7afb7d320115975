/** Rules for each region, and for what it brings along. */
import type { PlatformSpec } from './platform.ts';
import { isRegion, zoneLetters } from './regions.ts';
import { ownDatabaseFaults } from './validate-databases.ts';

export function regionFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [index, region] of spec.regions.entries()) {
    const at = `regions[${index}]`;
    if (!isRegion(region.region)) {
      faults.push(
        `${at}.region: "${region.region}" is not an AWS region, for example us-east-1 (all that are known: lib/platform/regions.ts)`,
      );
    }
    if (seen.has(region.region)) faults.push(`${at}.region: "${region.region}" appears twice; name each region once`);
    seen.add(region.region);
    if (region.account !== undefined && !/^\d{12}$/.test(region.account)) {
      faults.push(`${at}.account: "${region.account}" is not an AWS account id of 12 digits`);
    }
    faults.push(
      ...ownNetworkFaults(region, at),
      ...ownClusterFaults(region, at),
      ...ownDatabaseFaults(region, region.account ?? spec.account, at),
    );
    const ofCertificate = `arn:aws:acm:${region.region}:`;
    if (region.certificateArn !== undefined && !region.certificateArn.startsWith(ofCertificate)) {
      faults.push(
        `${at}.certificateArn: "${region.certificateArn}" must begin with ${ofCertificate}; a load balancer takes certificates of its own region only`,
      );
    }
    if (
      region.databaseInstanceClass !== undefined &&
      !/^db\.[a-z0-9]+\.\d*[a-z]+$/.test(region.databaseInstanceClass)
    ) {
      faults.push(`${at}.databaseInstanceClass: "${region.databaseInstanceClass}" is not a class such as db.r6g.large`);
    }
    if (region.cacheNodeType !== undefined && !/^cache\.[a-z0-9]+\.\d*[a-z]+$/.test(region.cacheNodeType)) {
      faults.push(`${at}.cacheNodeType: "${region.cacheNodeType}" is not a node type such as cache.r7g.large`);
    }
    const letters = zoneLetters(region.region);
    for (const zone of region.zones) {
      if (!/^[a-z]$/.test(zone)) faults.push(`${at}.zones: "${zone}" must be the zone's letter alone, for example "a"`);
      else if (letters.length > 0 && !letters.includes(zone)) {
        faults.push(`${at}.zones: ${region.region} has no zone "${zone}"; it has ${letters.join(', ')}`);
      }
    }
    if (new Set(region.zones).size !== region.zones.length) {
      faults.push(`${at}.zones: a zone appears twice in [${region.zones.join(', ')}]`);
    }
    if (
      region.gatewayReplicas !== undefined &&
      !(Number.isInteger(region.gatewayReplicas) && region.gatewayReplicas >= 2)
    ) {
      faults.push(
        `${at}.gatewayReplicas: ${region.gatewayReplicas} must be a whole number of at least 2; one replica is no redundancy`,
      );
    }
  }
  for (const [index, { reservedNodesPerZone: kept, cluster }] of spec.regions.entries()) {
    const at = `regions[${index}].reservedNodesPerZone`;
    if (kept === undefined) continue;
    if (!(Number.isInteger(kept) && kept >= 0 && kept <= 50)) {
      faults.push(`${at}: ${kept} must be a whole number from 0 to 50; each is paid for, used or not`);
    }
    if (cluster !== undefined) {
      faults.push(`${at}: the cluster was brought along, its owner keeps capacity for it; leave it out`);
    }
  }
  if (spec.dnsRegion !== undefined && !isRegion(spec.dnsRegion)) {
    faults.push(`dnsRegion: "${spec.dnsRegion}" is not an AWS region, for example us-west-2`);
  }
  if (spec.dnsRegion !== undefined && spec.topology !== 'single-region') {
    const primary = spec.regions.find((region) => region.role === 'primary');
    if (primary?.region === spec.dnsRegion) {
      faults.push(`dnsRegion: "${spec.dnsRegion}" is the primary; choose another, so that the dns stack outlives it`);
    }
  }
  return faults;
}

function ownNetworkFaults({ network, zones }: PlatformSpec['regions'][number], at: string): string[] {
  if (network === undefined) return [];
  const faults: string[] = [];
  if (!/^vpc-[0-9a-f]{8,17}$/.test(network.vpcId)) {
    faults.push(`${at}.network.vpcId: "${network.vpcId}" is not a VPC id such as vpc-0123456789abcdef0`);
  }
  for (const field of ['publicSubnetIds', 'privateSubnetIds', 'isolatedSubnetIds'] as const) {
    const ids = network[field];
    if (ids.length !== zones.length) {
      faults.push(
        `${at}.network.${field}: ${ids.length} subnets for ${zones.length} zones; give one for each, in the order of zones`,
      );
    }
    for (const id of ids) {
      if (!/^subnet-[0-9a-f]{8,17}$/.test(id)) faults.push(`${at}.network.${field}: "${id}" is not a subnet id`);
    }
  }
  return faults;
}

function ownClusterFaults({ cluster, network }: PlatformSpec['regions'][number], at: string): string[] {
  if (cluster === undefined) return [];
  const faults: string[] = [];
  if (!/^[0-9A-Za-z][\w-]{0,99}$/.test(cluster.name)) {
    faults.push(`${at}.cluster.name: "${cluster.name}" is not the name of an EKS cluster`);
  }
  if (!/^sg-[0-9a-f]{8,17}$/.test(cluster.securityGroupId)) {
    faults.push(`${at}.cluster.securityGroupId: "${cluster.securityGroupId}" is not a security group id`);
  }
  if (network === undefined) {
    faults.push(`${at}.cluster: "${cluster.name}" stands in a network already; name it in ${at}.network`);
  }
  return faults;
}
