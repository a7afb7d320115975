/** The parts of the review that tell what the platform is: promises, stacks, redundancy, names. */
import { hasNamesElsewhere } from '../platform/accounts.ts';
import {
  databaseIdentifier,
  dnsStackName,
  outputs,
  prefix,
  regionalDomain,
  regionalStackKinds,
  stackName,
  standbyDomain,
} from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import { aliasTtlSeconds, regionDetectionSeconds } from '../platform/traffic.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { table } from './table.ts';
import { propertiesOf } from './template.ts';
import { wrap } from './wrap.ts';

const duration = (seconds: number): string => (seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`);
const yesOrNo = (value: unknown): string => (value === true ? 'yes' : 'no');

/** What is promised, and by which regions. */
export function platformSection({ platform }: Review): Section {
  const { tier } = platform;
  return {
    title: `${prefix(platform)}: ${platform.topology}, tier ${tier.name}`,
    lines: [
      `Objectives  ${tier.availabilityPercent} % available; when a region fails, back within ${duration(tier.rtoSeconds)} (RTO)`,
      `            with at most ${duration(tier.rpoSeconds)} of data lost (RPO); strategy: ${tier.strategy}`,
      ...wrap(accountsLine(platform), 'Account     '),
      `Image       ${platform.image}${platform.imageDigest === undefined ? '' : ', from each region’s own registry'}`,
      '',
      ...table(
        ['region', 'role', 'zones', 'range', 'gateways', 'database', 'replica of'],
        platform.regions.map((region) => [
          region.region,
          region.role,
          region.availabilityZones.map((zone) => zone.slice(-1)).join(' '),
          region.cidr,
          region.gatewayReplicas,
          databaseIdentifier(platform, region),
          region.databaseSource === undefined ? '- (origin)' : region.databaseSource.region,
        ]),
      ),
    ],
  };
}

function accountsLine(platform: Platform): string {
  const { account, primary, satellites } = platform;
  const witness = satellites.find((each) => each.witness && each.account !== primary.account);
  return [
    hasNamesElsewhere(platform, primary) ? `${primary.account} (regions), ${account} (names, CI)` : account,
    ...(witness === undefined ? [] : [`${witness.account} (witness of the claim)`]),
  ].join(', ');
}

/** How many resources each stack holds. */
export function stacksSection({ platform, stacks }: Review): Section {
  const size = (name: string): number =>
    Object.keys(stacks.find((stack) => stack.name === name)?.template.Resources ?? {}).length;
  const rows = platform.regions.map(({ region }) => {
    const sizes = regionalStackKinds.map((kind) => size(stackName(platform, region, kind)));
    return [region, ...sizes, sizes.reduce((sum, count) => sum + count, 0)];
  });
  const total = stacks.reduce((sum, stack) => sum + size(stack.name), 0);
  return {
    title: `Stacks: ${stacks.length}, with ${total} resources`,
    lines: [
      ...table(['region', ...regionalStackKinds, 'total'], rows),
      '',
      ...wrap(
        `Named ${prefix(platform)}-REGION-KIND; and ${dnsStackName(platform)} (in ${platform.dnsRegion}, ${size(dnsStackName(platform))} resources) for all regions.`,
      ),
    ],
  };
}

/** In the place of what was brought along: no template here shows it. */
const owner = "owner's";

/** What makes a region survive the loss of a part, read from the templates and not from the configuration. */
export function redundancySection({ platform, stacks }: Review): Section {
  const rows = platform.regions.map((region) => {
    const own = stacks.filter((stack) => stack.region === region.region && stack.name !== dnsStackName(platform));
    const [database] = propertiesOf(own, 'AWS::RDS::DBInstance').filter(
      (instance) => instance['DBInstanceIdentifier'] === databaseIdentifier(platform, region),
    );
    const [cache] = propertiesOf(own, 'AWS::ElastiCache::ReplicationGroup');
    const readers = propertiesOf(own, 'AWS::RDS::DBInstance').length - 1;
    return [
      region.region,
      region.network === undefined ? propertiesOf(own, 'AWS::EC2::NatGateway').length : owner,
      ...(region.database === undefined
        ? [
            yesOrNo(database?.['MultiAZ']),
            readers,
            `${String(database?.['BackupRetentionPeriod'])} days`,
            yesOrNo(database?.['DeletionProtection']),
          ]
        : [owner, owner, owner, owner]),
      1 + Number(cache?.['ReplicasPerNodeGroup']),
      yesOrNo(cache?.['AutomaticFailoverEnabled']),
    ];
  });
  return {
    title: 'Redundancy in each region',
    lines: table(
      ['region', 'NAT', 'DB Multi-AZ', 'DB readers', 'backups', 'DB protected', 'cache nodes', 'cache failover'],
      rows,
    ),
  };
}

/** Names that clients use and how an answer is chosen. */
export function namesSection({ platform }: Review): Section {
  const { domain, hostedZone } = platform;
  const regional = platform.regions.map(({ region }) => `  ${region}  https://${regionalDomain(platform, region)}`);
  return {
    title: 'Names',
    lines: [
      `Clients   https://${domain}`,
      ...wrap(routing(platform), '          '),
      'Regions, for direct use and for the health checks:',
      ...regional,
      ...(hostedZone.id === undefined
        ? [
            '',
            `The zone ${hostedZone.name} does not exist yet. Deploy ${dnsStackName(platform)}: it creates the zone and nothing`,
            `else. Delegate the zone to its output ${outputs.nameServers}, put its output ${outputs.hostedZoneId} into`,
            'holdfast.config.ts (hostedZone.id), and synthesize again.',
          ]
        : []),
      ...(hostedZone.id === undefined
        ? []
        : [
            '',
            ...wrap(
              `The zone ${hostedZone.name} was brought along: switch accelerated recovery on there, once, so that its records can be changed within an hour of losing us-east-1:`,
            ),
            `  aws route53 update-hosted-zone-features --hosted-zone-id ${hostedZone.id} --enable-accelerated-recovery`,
          ]),
    ],
  };
}

function routing(platform: Platform): string {
  const noticed = `A dead region is noticed within ${regionDetectionSeconds} s, resolvers keep an answer for ${aliasTtlSeconds} s.`;
  switch (platform.topology) {
    case 'single-region':
      return 'one region, one record';
    case 'active-passive': {
      const standbys =
        platform.standbys.length > 1
          ? `the nearest healthy of ${platform.standbys.map(({ region }) => region).join(', ')} (${standbyDomain(platform)})`
          : (platform.standbys[0]?.region ?? '');
      return `${platform.primary.region} while it is healthy, else ${standbys}. ${noticed}`;
    }
    case 'active-active':
      return `the nearest healthy region. ${noticed}`;
  }
}
