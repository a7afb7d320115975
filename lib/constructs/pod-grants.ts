/** Least privilege of each service account, by computed names: no right here needs another stack to exist. */
import { exportsMetrics } from '../alerts/exported-metrics.ts';
import {
  type BucketPlace,
  backupBucketName,
  bucketName,
  cacheSecretName,
  databaseArn,
  databaseSecretName,
  gatewaySecretName,
  kubernetes,
  metricLogGroup,
  objectKeys,
  prefix,
  readinessMetric,
  storageKeyAlias,
  vaultKeyAlias,
} from '../platform/names.ts';
import { claimPlaces, copyPlaces } from '../platform/places.ts';
import type { Platform, Region } from '../platform/platform.ts';
import type { Grant } from './pod-identity.ts';

/** Grants by service account: the gateway, and what the configuration puts beside it. */
export function podGrants(platform: Platform, region: Region): Readonly<Record<string, readonly Grant[]>> {
  const { addons } = platform.cluster;
  const backup = (folder: string): Grant[] => [
    {
      actions: ['s3:PutObject'],
      resources: [objects(backupBucketName(platform, region), folder)],
      wildcard: ownFolder,
    },
    throughKey(region, storageKeyAlias(platform), ['kms:GenerateDataKey', 'kms:Decrypt'], 's3'),
  ];
  return {
    [kubernetes.gatewayServiceAccount]: gateway(platform, region),
    ...(exportsMetrics(platform) && { [kubernetes.otelCollector]: [metrics(platform, region)] }),
    ...(platform.cluster.regionWatch && { [kubernetes.regionWatch]: watch(platform, region) }),
    ...(addons.includes('vault') && {
      [kubernetes.vault]: [
        throughKey(region, vaultKeyAlias(platform).replace('alias/', ''), [
          'kms:Encrypt',
          'kms:Decrypt',
          'kms:DescribeKey',
        ]),
      ],
      [kubernetes.vaultSnapshot]: backup(objectKeys.vaultSnapshots),
    }),
    ...(addons.includes('backup') && {
      [kubernetes.databaseBackup]: backup(objectKeys.databaseDumps),
      [kubernetes.configurationBackup]: backup(objectKeys.configurationBackups),
      ...(addons.includes('redis') && { [kubernetes.redisBackup]: backup(objectKeys.redisSnapshots) }),
    }),
  };
}

/** Secrets of this region; configuration and models to read; the claim; an archive of spend in the other regions. */
function gateway(platform: Platform, region: Region): Grant[] {
  const secrets = [databaseSecretArn(platform, region), secretArn(region, cacheSecretName(platform))];
  const read = [bucketName(platform, region, 'config'), bucketName(platform, region, 'models')];
  const archives = [region, ...copyPlaces(platform, region)];
  const claims = claimPlaces(platform);
  const keys = [...new Map([...archives, ...claims].map((place) => [place.region, place])).values()];
  return [
    { actions: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'], resources: secrets },
    ...databaseSecretKey(platform, region),
    throughKey(region, cacheSecretName(platform), ['kms:Decrypt'], 'secretsmanager'),
    {
      actions: ['s3:GetObject'],
      resources: read.map((name) => objects(name, '')),
      wildcard: 'Configuration and models are whole buckets, for reading.',
    },
    {
      actions: ['s3:GetObject', 's3:PutObject'],
      resources: archives.map((place) => objects(bucketName(platform, place, 'outbox'), '')),
      wildcard: 'Segments of spend are named by the process that wrote them; the bucket holds nothing else.',
    },
    ...(claims.length === 0
      ? []
      : [
          {
            actions: ['s3:GetObject', 's3:PutObject'],
            resources: claims.map(
              (place) => `arn:aws:s3:::${bucketName(platform, place, 'claim')}/${objectKeys.claim}`,
            ),
          },
          {
            // Else S3 refuses a look at a claim that is only missing, and a bucket that was made anew never gets one.
            actions: ['s3:ListBucket'],
            resources: claims.map((place) => `arn:aws:s3:::${bucketName(platform, place, 'claim')}`),
          },
        ]),
    ...keys.map((place) => throughKey(place, storageKeyAlias(platform), ['kms:Decrypt', 'kms:GenerateDataKey'], 's3')),
  ];
}

/**
 * What `holdfast region ready` reads of this region and of the claim, and the one metric that it puts. Of secrets it sees the
 * versions, never the contents; those of another region because it compares them with the region that writes.
 */
function watch(platform: Platform, region: Region): Grant[] {
  const claims = claimPlaces(platform);
  const inRegion = `arn:aws:rds:${region.region}:${region.account}`;
  const compared = platform.regions.some(({ database }) => database !== undefined) ? [] : platform.regions;
  const secrets = [
    ...compared.map((place) => secretArn(place, databaseSecretName(platform))),
    ...(platform.cluster.secretStore === undefined ? [] : [secretArn(region, gatewaySecretName(platform))]),
  ];
  return [
    {
      actions: ['s3:GetObject'],
      resources: claims.map((place) => `arn:aws:s3:::${bucketName(platform, place, 'claim')}/${objectKeys.claim}`),
    },
    ...claims.map((place) => throughKey(place, storageKeyAlias(platform), ['kms:Decrypt'], 's3')),
    ...(secrets.length === 0 ? [] : [{ actions: ['secretsmanager:DescribeSecret'], resources: secrets }]),
    {
      // Of a claim that is missing, S3 says so only to who may list its bucket.
      actions: ['s3:ListBucket'],
      resources: [
        backupBucketName(platform, region),
        ...claims.map((place) => bucketName(platform, place, 'claim')),
      ].map((name) => `arn:aws:s3:::${name}`),
    },
    { actions: ['rds:DescribeDBInstances'], resources: [databaseArn(platform, region)] },
    {
      actions: ['rds:DescribeDBSnapshots', 'rds:DescribeDBInstanceAutomatedBackups'],
      resources: ['db', 'snapshot', 'auto-backup'].map((kind) => `${inRegion}:${kind}:*`),
      wildcard: 'Backups are found by listing them: copies are named by AWS.',
    },
    {
      actions: ['servicequotas:GetServiceQuota', 'servicequotas:GetAWSDefaultServiceQuota'],
      resources: ['*'],
      wildcard: 'AWS’s own defaults have no resource of this account.',
    },
    {
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': readinessMetric.namespace } },
      wildcard: 'CloudWatch knows no resources for metrics; a condition narrows it to the one namespace.',
    },
  ];
}

// Secrets Manager appends a hyphen and six characters to a name; six question marks match nothing longer.
const secretArn = ({ region, account }: BucketPlace, name: string): string =>
  `arn:aws:secretsmanager:${region}:${account}:secret:${name}-??????`;

/**
 * User and password of the database. Beside a primary that was brought along, a standby has the copy that its owner makes
 * of the secret: its ARN differs in the region alone.
 */
function databaseSecretArn(platform: Platform, region: Region): string {
  const brought = region.database ?? platform.primary.database;
  if (brought === undefined) return secretArn(region, databaseSecretName(platform));
  return brought.secretArn.replace(/^(arn:aws:secretsmanager:)[^:]+/, `$1${region.region}`);
}

/** The key that AWS manages for secrets needs no right of its own. */
function databaseSecretKey(platform: Platform, region: Region): Grant[] {
  const { secretKeyArn } = region.database ?? {};
  if (secretKeyArn !== undefined) {
    const through = { StringEquals: { 'kms:ViaService': `secretsmanager.${region.region}.amazonaws.com` } };
    return [{ actions: ['kms:Decrypt'], resources: [secretKeyArn], conditions: through }];
  }
  if ((region.database ?? platform.primary.database) !== undefined) return [];
  return [throughKey(region, `${prefix(platform)}/database`, ['kms:Decrypt'], 'secretsmanager')];
}

/** The group stands already: the collector may not make one, which would be kept without an end. */
const metrics = (platform: Platform, { region, account }: Region): Grant => ({
  actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
  resources: [`arn:aws:logs:${region}:${account}:log-group:${metricLogGroup(platform, region)}:*`],
  wildcard: 'Streams of the one log group that carries metrics.',
});

const ownFolder = 'Backups are named by their time, in a folder that this job alone writes to.';

const objects = (bucket: string, folder: string): string => `arn:aws:s3:::${bucket}/${folder}*`;

/**
 * Use of the key with an alias.
 * @param service only on behalf of this service; anybody's own calls if not given
 */
const throughKey = (place: BucketPlace, alias: string, actions: readonly string[], service?: string): Grant => ({
  actions,
  resources: [`arn:aws:kms:${place.region}:${place.account}:key/*`],
  conditions: {
    'ForAnyValue:StringEquals': { 'kms:ResourceAliases': `alias/${alias}` },
    ...(service !== undefined && { StringEquals: { 'kms:ViaService': `${service}.${place.region}.amazonaws.com` } }),
  },
  wildcard: 'A condition narrows it to the one key with this alias; its id is not known before it is made.',
});
