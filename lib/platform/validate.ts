/** Every rule that a platform description must satisfy, before anything is synthesized. */

import { drillHoursFaults } from './drill-hours.ts';
import { bucketName } from './names.ts';
import { partnerRegions } from './partner-regions.ts';
import { isRegion, zoneLetters } from './regions.ts';
import type { PlatformSpec } from './spec.ts';
import { tiers } from './tiers.ts';
import { accountFaults } from './validate-accounts.ts';
import { cacheFaults } from './validate-cache.ts';
import { clusterFaults, ownClusterFaults } from './validate-cluster.ts';
import { findDatabaseFaults, ownDatabaseFaults } from './validate-databases.ts';

interface CidrRange {
  readonly first: number;
  readonly last: number;
}

/** All faults of a description, in the order of its fields; empty when it can be built. */
export function findFaults(spec: PlatformSpec): string[] {
  return [
    ...nameFaults(spec),
    ...accountFaults(spec),
    ...regionFaults(spec),
    ...roleFaults(spec),
    ...tierFaults(spec),
    ...satelliteFaults(spec),
    ...networkFaults(spec),
    ...findDatabaseFaults(spec),
    ...cacheFaults(spec),
    ...clusterFaults(spec),
    ...operationsFaults(spec),
  ];
}

/** Of load balancers and of buckets. */
const keptPrefixes = ['internal-', 'sthree-', 'amzn-s3-demo-'] as const;

function nameFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  if (!/^(?=.{2,20}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(spec.name)) {
    faults.push(
      `name: "${spec.name}" must be 2 to 20 lower case letters and digits, with single hyphens between them, and start with a letter; names of databases, load balancers and buckets are made from it`,
    );
  }
  const kept = keptPrefixes.find((start) => `${spec.name}-`.startsWith(start));
  if (kept !== undefined) {
    faults.push(`name: "${spec.name}" would make names that begin with "${kept}", which AWS keeps for itself`);
  }
  for (const [field, name] of [
    ['domain', spec.domain],
    ['hostedZone.name', spec.hostedZone.name],
  ] as const) {
    if (!isDomain(name)) faults.push(`${field}: "${name}" is not a domain name, for example gateway.example.com`);
  }
  if (spec.domain.length > 64) {
    faults.push(`domain: "${spec.domain}" is longer than the 64 characters that a certificate's first name may have`);
  }
  if (spec.domain !== spec.hostedZone.name && !spec.domain.endsWith(`.${spec.hostedZone.name}`)) {
    faults.push(
      `domain: "${spec.domain}" is not inside hostedZone.name "${spec.hostedZone.name}"; its records could never be found`,
    );
  }
  if (spec.hostedZone.id !== undefined && !/^Z[A-Z0-9]{1,31}$/.test(spec.hostedZone.id)) {
    faults.push(
      `hostedZone.id: "${spec.hostedZone.id}" is not a Route 53 zone id such as Z0123456789EXAMPLE; leave it out and the dns stack creates the zone`,
    );
  }
  if (spec.imageDigest !== undefined) {
    if (!/^sha256:[0-9a-f]{64}$/.test(spec.imageDigest)) {
      faults.push(`imageDigest: "${spec.imageDigest}" is not a digest: sha256: and 64 hexadecimal digits`);
    }
    if ((spec.cluster?.kind ?? 'eks') !== 'eks') {
      faults.push('imageDigest: only regions on "eks" have a registry of their own; put the digest into `image`');
    }
  }
  if (spec.bootstrapQualifier !== undefined && !/^[a-z0-9]{1,10}$/.test(spec.bootstrapQualifier)) {
    faults.push(`bootstrapQualifier: "${spec.bootstrapQualifier}" must be 1 to 10 lower case letters or digits`);
  }
  if (!/^[^\s/]+(\/[^\s/]+)*$/.test(spec.image)) {
    faults.push(`image: "${spec.image}" is not an image name, for example ghcr.io/holdfast/gateway:0.1.0`);
  }
  return faults;
}

function regionFaults(spec: PlatformSpec): string[] {
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
    faults.push(
      ...ownNetworkFaults(region, at),
      ...ownClusterFaults(region, at),
      ...ownDatabaseFaults(region, region.account ?? spec.account, at),
    );
    const ofCertificate = `arn:aws:acm:${region.region}:${region.account ?? spec.account}:certificate/`;
    if (region.certificateArn !== undefined && !region.certificateArn.startsWith(ofCertificate)) {
      faults.push(
        `${at}.certificateArn: "${region.certificateArn}" must begin with ${ofCertificate}; a load balancer takes certificates of its own region and account only`,
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

function roleFaults(spec: PlatformSpec): string[] {
  const primaries = spec.regions.filter((region) => region.role === 'primary').map((region) => region.region);
  if (primaries.length === 0)
    return ['regions: no region has role "primary"; exactly one owns the database that takes writes'];
  if (primaries.length > 1) {
    return [
      `regions: ${primaries.length} regions have role "primary" (${primaries.join(', ')}); exactly one may take writes`,
    ];
  }
  return [];
}

function tierFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const tier = tiers[spec.tier];
  const count = spec.regions.length;
  if (spec.topology === 'single-region' && count !== 1) {
    faults.push(
      `topology: "single-region" has one region, but regions lists ${count}; choose active-passive or active-active`,
    );
  }
  if (spec.topology !== 'single-region' && count < 2) {
    faults.push(
      `topology: "${spec.topology}" needs a second region in regions; a standby without a source or a primary without a standby protects nothing`,
    );
  }
  const optOut = spec.regionLoss?.optOutReason.trim();
  if (optOut === '') faults.push('regionLoss.optOutReason: say why the loss of the region is acceptable');
  if (optOut !== undefined && (spec.topology !== 'single-region' || tier.regionsAtLeast === 1)) {
    faults.push('regionLoss: nothing to opt out of here; leave it out');
  }
  if (spec.topology === 'single-region' && tier.regionsAtLeast > 1 && optOut === undefined) {
    faults.push(
      `tier: "${tier.name}" promises recovery in ${tier.rtoSeconds / 60} minutes with at most ${tier.rpoSeconds / 60} minutes of data lost when a region fails; one region cannot keep that. Choose tier "standard", add a region, or say why that is acceptable (regionLoss.optOutReason)`,
    );
  }
  for (const [index, region] of spec.regions.entries()) {
    if (region.zones.length < tier.zones) {
      faults.push(
        `regions[${index}].zones: tier "${tier.name}" needs ${tier.zones} zones, ${region.region} has ${region.zones.length}`,
      );
    }
  }
  return faults;
}

/** Longest name of a bucket. */
const bucketNameLimit = 63;

function satelliteFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const { witnessRegion, backupRegion, account } = spec;
  const names = spec.regions.map(({ region }) => region);
  for (const [field, region] of [
    ['witnessRegion', witnessRegion],
    ['backupRegion', backupRegion],
  ] as const) {
    if (region === undefined) continue;
    if (!isRegion(region)) faults.push(`${field}: "${region}" is not an AWS region, for example us-east-2`);
    if (names.includes(region)) {
      faults.push(`${field}: "${region}" is one of regions; it would be lost together with what it is to outlive`);
    }
  }
  const single = spec.topology === 'single-region';
  if (single && witnessRegion !== undefined) {
    faults.push('witnessRegion: a single region has nobody to share the right to write with; leave it out');
  }
  if (single && spec.refuseBeyondRpo === true) {
    faults.push('refuseBeyondRpo: a single region has no replica elsewhere that could be behind; leave it out');
  }
  if (!single && backupRegion !== undefined) {
    faults.push('backupRegion: several regions hold each other’s backups; leave it out');
  }
  if (
    single &&
    backupRegion === undefined &&
    spec.regions.some(({ region }) => isRegion(region) && !partnerRegions[region])
  ) {
    faults.push(
      `backupRegion: ${names.join(', ')} has no partner region under the same law; name the region that backups are copied to`,
    );
  }
  if (spec.tier === 'critical' && !single && names.length < 3 && witnessRegion === undefined) {
    faults.push(
      'witnessRegion: tier "critical" needs the claim in three places, so that the loss of any one stops no write; name a third region, a bucket there is enough',
    );
  }
  const places = [...names, witnessRegion, backupRegion].filter((region) => region !== undefined);
  if (spec.regionSwitchPlan === true && names.length !== 2) {
    faults.push(`regionSwitchPlan: ARC Region switch knows two regions, regions lists ${names.length}; leave it out`);
  }
  const longest = places
    .map((region) => bucketName(spec, { region, account }, 'takeover'))
    .reduce((left, right) => (right.length > left.length ? right : left), '');
  if (longest.length > bucketNameLimit) {
    faults.push(
      `name: "${spec.name}" is too long: the bucket ${longest} would have ${longest.length} characters, S3 allows ${bucketNameLimit}; shorten the name by ${longest.length - bucketNameLimit}`,
    );
  }
  return faults;
}

function operationsFaults({ operations, delivery }: PlatformSpec): string[] {
  const faults = operations?.drillHours === undefined ? [] : drillHoursFaults(operations.drillHours);
  for (const [field, date] of [
    ['operations.onCall.since', operations?.onCall?.since],
    ['operations.nextDrill', operations?.nextDrill],
  ] as const) {
    if (date !== undefined && !(/^\d{4}-\d{2}-\d{2}$/.test(date) && Number.isFinite(Date.parse(date)))) {
      faults.push(`${field}: "${date}" is not a day such as 2027-01-15`);
    }
  }
  for (const [index, email] of (operations?.alertEmails ?? []).entries()) {
    if (!/^[^\s@]+@[^\s@]+$/.test(email)) faults.push(`operations.alertEmails[${index}]: "${email}" is not an address`);
  }
  if (delivery?.subjects.length === 0) {
    faults.push(
      'delivery.subjects: names nobody; say who may deploy, for example repo:acme/gateway:environment:production',
    );
  }
  for (const [index, subject] of (delivery?.subjects ?? []).entries()) {
    if (/^(repo:)?\*/.test(subject)) {
      faults.push(`delivery.subjects[${index}]: "${subject}" lets every repository of the issuer deploy; name yours`);
    }
  }
  return faults;
}

function networkFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const ranges: { region: string; cidr: string; range: CidrRange }[] = [];
  for (const [index, region] of spec.regions.entries()) {
    const range = parseCidr(region.cidr);
    if (range === undefined) {
      faults.push(
        `regions[${index}].cidr: "${region.cidr}" is not a range such as 10.0.0.0/16 (network address, prefix 16 to 20)`,
      );
      continue;
    }
    const other = ranges.find((known) => known.range.first <= range.last && range.first <= known.range.last);
    if (other !== undefined) {
      faults.push(
        `regions[${index}].cidr: "${region.cidr}" of ${region.region} overlaps "${other.cidr}" of ${other.region}; regions route to each other`,
      );
    }
    ranges.push({ region: region.region, cidr: region.cidr, range });
  }
  return faults;
}

/** A VPC range, or undefined when it is malformed, not on its network address, or too small for three tiers of subnets. */
function parseCidr(cidr: string): CidrRange | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null) return undefined;
  const octets = match.slice(1, 5).map(Number);
  const prefix = Number(match[5]);
  if (octets.some((octet) => octet > 255) || prefix < 16 || prefix > 20) return undefined;
  const first = octets.reduce((address, octet) => address * 256 + octet, 0);
  const size = 2 ** (32 - prefix);
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}

const isDomain = (name: string): boolean =>
  name.length <= 253 && /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/.test(name);
