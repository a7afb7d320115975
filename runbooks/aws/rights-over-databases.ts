/** Rights of the books that restore and replace databases. */
import { hasNamesElsewhere } from '../../lib/platform/accounts.ts';
import {
  backupKeyAlias,
  bucketName,
  databaseArn,
  databaseIdentifier,
  databaseSecretName,
  dnsStackName,
  gatewaySecretName,
  objectKeys,
  stackName,
  storageKeyAlias,
} from '../../lib/platform/names.ts';
import { archivePlace } from '../../lib/platform/places.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { asideStart } from './aside-name.ts';
import { allow, type Statement, secretArns, throughKeys } from './rights.ts';

/** The database that a failback makes, whether `holdfast.config.ts` describes it already or not. */
export const replacement = (region: Region): Region => ({
  ...region,
  databaseGeneration: region.databaseGeneration + (region.databaseSource === undefined ? 1 : 0),
});

/** A new replica in the primary, a snapshot of the database before it, and the share of the clients. */
export function returning(platform: Platform): Statement[] {
  const { primary, dnsRegion, account } = platform;
  const made = replacement(primary);
  const old = databaseArn(platform, { ...made, databaseGeneration: made.databaseGeneration - 1 });
  const inRegion = `arn:aws:rds:${primary.region}:${primary.account}`;
  return [
    allow('TakeTheNewReplicaAway', ['rds:DeleteDBInstance', 'rds:DescribeDBInstances'], [databaseArn(platform, made)]),
    allow(
      'SnapshotTheOldDatabase',
      ['rds:CreateDBSnapshot', 'rds:DescribeDBInstances'],
      [old, `${inRegion}:snapshot:*-before-failback`],
    ),
    // Records are changed, and the replica is made, by the roles of the stacks: the operator starts their updates.
    allow(
      hasNamesElsewhere(platform, primary) ? 'SetTheShareByTheProfileOfTheNames' : 'SetTheShare',
      ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'],
      [`arn:aws:cloudformation:${dnsRegion}:${account}:stack/${dnsStackName(platform)}/*`],
    ),
  ];
}

const archives = (platform: Platform): string[] => [
  ...new Set(
    platform.regions.flatMap((one) => {
      const place = archivePlace(platform, one);
      return place === undefined ? [] : [`arn:aws:s3:::${place.bucket}`];
    }),
  ),
];

export const seeingBackups = (platform: Platform): Statement[] => [
  allow(
    'ListTheBackups',
    ['s3:ListBucket'],
    platform.regions.map((one) => `arn:aws:s3:::${bucketName(platform, one, 'backup')}`),
  ),
  allow(
    'SeeTheSnapshots',
    ['rds:DescribeDBSnapshots', 'rds:DescribeDBInstanceAutomatedBackups'],
    platform.regions.flatMap(({ region, account }) => [
      `arn:aws:rds:${region}:${account}:db:*`,
      `arn:aws:rds:${region}:${account}:snapshot:*`,
      `arn:aws:rds:${region}:${account}:auto-backup:*`,
    ]),
  ),
];

/** Reads every backup, and makes and removes databases that are named after a run, and no other. */
export function restoring(platform: Platform): Statement[] {
  return [
    ...seeingBackups(platform),
    allow(
      'RestoreBesideWhatIsInUse',
      [
        'rds:RestoreDBInstanceFromDBSnapshot',
        'rds:RestoreDBInstanceToPointInTime',
        'rds:CreateDBInstance',
        'rds:AddTagsToResource',
      ],
      platform.regions.flatMap((one) => [
        databaseArn(platform, one),
        ...['db:restored-*', 'snapshot:*', 'auto-backup:*', 'subgrp:*', 'pg:*', 'og:*'].map(
          (kind) => `arn:aws:rds:${one.region}:${one.account}:${kind}`,
        ),
      ]),
    ),
    // Where the database stood, when it is gone.
    allow(
      'SeeWhatTheStackNames',
      ['cloudformation:DescribeStackResources'],
      platform.regions.map(
        ({ region, account }) =>
          `arn:aws:cloudformation:${region}:${account}:stack/${stackName(platform, region, 'data')}/*`,
      ),
    ),
    allow(
      'ReadTheDumps',
      ['s3:GetObject'],
      platform.regions.map((one) => `arn:aws:s3:::${bucketName(platform, one, 'backup')}/${objectKeys.databaseDumps}*`),
    ),
    // No dump holds the logins of the gateways.
    allow(
      'ReadTheGatewaysLogins',
      ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue'],
      secretArns(platform, gatewaySecretName(platform)),
    ),
    // RDS uses the key of what it restores in the name of whoever asks it to.
    throughKeys('LetRdsUseTheKeys', ['kms:DescribeKey', 'kms:Decrypt', 'kms:CreateGrant'], platform, [
      databaseSecretName(platform),
      backupKeyAlias(platform),
      storageKeyAlias(platform),
    ]),
    allow(
      'SeeAndRemoveWhatWasRestored',
      ['rds:DescribeDBInstances', 'rds:DeleteDBInstance'],
      platform.regions.map(({ region, account }) => `arn:aws:rds:${region}:${account}:db:restored-*`),
    ),
  ];
}

/** A restored database takes the name of the old one, which gets another; the archives have the spend that it lacks. */
export const replacing = (platform: Platform): Statement[] => [
  allow('ListTheArchivesOfSpend', ['s3:ListBucket'], archives(platform)),
  allow(
    'ReadTheArchivesOfSpend',
    ['s3:GetObject'],
    archives(platform).map((bucket) => `${bucket}/*`),
  ),
  allow(
    'ExchangeTheNames',
    ['rds:ModifyDBInstance'],
    platform.regions.flatMap((one) => [
      databaseArn(platform, one),
      `arn:aws:rds:${one.region}:${one.account}:db:${asideStart(databaseIdentifier(platform, one))}*`,
      `arn:aws:rds:${one.region}:${one.account}:db:restored-*`,
    ]),
  ),
];
