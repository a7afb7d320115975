/** What was brought along, and what its owner has to see to: the tier's promise rests on it, and no template shows it. */
import { databaseArn, databaseIdentifier, prefix } from '../platform/names.ts';
import { backupPlace } from '../platform/places.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { versions } from '../platform/versions.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { wrap } from './wrap.ts';

const isBrought = (
  { isolatedVaultArns }: Platform,
  { region, network, cluster, database, certificateArn }: Region,
): boolean =>
  [network, cluster, database, certificateArn, isolatedVaultArns[region]].some((each) => each !== undefined);

/** @returns undefined where everything is made here */
export function broughtSection({ platform }: Review): Section | undefined {
  const regions = platform.regions.filter((region) => isBrought(platform, region));
  if (regions.length === 0) return undefined;
  return {
    title: 'Brought along: its owner sees to it',
    lines: regions.flatMap((region) => [
      region.region,
      ...duties(platform, region).flatMap(([what, duty]) => wrap(duty, `  ${what.padEnd(12)}`)),
    ]),
  };
}

function duties(platform: Platform, region: Region): (readonly [what: string, duty: string])[] {
  const { network, cluster, database, certificateArn } = region;
  const vault = platform.isolatedVaultArns[region.region];
  return [
    ...(network === undefined
      ? []
      : [
          [
            'network',
            `${network.vpcId}: a way out of each zone that needs no other zone, and endpoints of AWS`,
          ] as const,
        ]),
    ...(cluster === undefined
      ? []
      : [['cluster', `${cluster.name}: version, nodes in every zone, Pod Identity, zonal shift, logs`] as const]),
    ...(database === undefined ? [] : [['database', databaseDuty(platform, region)] as const]),
    ...(certificateArn === undefined
      ? []
      : [['certificate', `${certificateArn}: renewal, also of the names of the region`] as const]),
    ...(vault === undefined
      ? []
      : [
          [
            'vault',
            `${vault}: cross-account backup is on in the organization, its policy lets ${region.account} copy into it (backup:CopyIntoBackupVault), it is locked, and has a key of its own${database === undefined ? '' : `; the database's key lets that account read`}`,
          ] as const,
        ]),
  ];
}

function databaseDuty(platform: Platform, region: Region): string {
  const { tier } = platform;
  const { databaseSource: source } = region;
  const copies = backupPlace(platform, region);
  const writes = source === undefined;
  return [
    `${databaseIdentifier(platform, region)}: PostgreSQL ${versions.postgres.major}, encrypted, not public, rds.force_ssl, deletion protection`,
    ...(writes || tier.database.replicaMultiAz ? ['Multi-AZ'] : []),
    `backups kept ${tier.database.backupRetentionDays} days (without any it can have no replica)`,
    ...(writes
      ? [
          ...(copies === undefined ? [] : [`its automated backups replicated to ${copies.region}`]),
          ...(platform.standbys.length === 0 ? [] : ['its secret replicated to each standby under the same name']),
        ]
      : [
          `a replica of ${databaseArn(platform, source)}, made before the cluster of this region is deployed; no ${prefix(platform)} stack promotes it`,
        ]),
  ].join('; ');
}
