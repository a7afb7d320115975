/** Parts of which the policies of several books are made. */
import { cacheName, clusterArn, objectKeys, prefix, storageKeyAlias } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { BucketIn } from './claims.ts';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface PolicyBuckets {
  readonly claims: readonly BucketIn[];
  readonly takeovers: readonly BucketIn[];
  /** Where journals are kept. */
  readonly journals: readonly string[];
}

export const allow = (Sid: string, Action: readonly string[], Resource: readonly string[]): Statement => ({
  Sid,
  Effect: 'Allow',
  Action,
  Resource,
});

/** Keys have no names, their aliases do. */
export const throughKeys = (
  Sid: string,
  actions: readonly string[],
  platform: Platform,
  aliases: readonly string[],
): Statement => ({
  ...allow(
    Sid,
    actions,
    [...platform.regions, ...platform.satellites].map(
      ({ region, account }) => `arn:aws:kms:${region}:${account}:key/*`,
    ),
  ),
  Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': aliases.map((alias) => `alias/${alias}`) } },
});

/** Journal, claim and backups lie in buckets with a key of ours: without it S3 refuses what the statements above allow. */
export const useOfKeys = (platform: Platform): Statement =>
  throughKeys('UseTheBucketsKeys', ['kms:Decrypt', 'kms:GenerateDataKey'], platform, [storageKeyAlias(platform)]);

const objectsIn = (buckets: readonly BucketIn[], key: string): string[] =>
  buckets.map(({ bucket }) => `arn:aws:s3:::${bucket}/${key}`);

/** Of an object that is missing, S3 says so only to who may list its bucket; everybody else is refused. */
const seeingWhatIsMissing = (Sid: string, buckets: readonly BucketIn[]): Statement =>
  allow(
    Sid,
    ['s3:ListBucket'],
    buckets.map(({ bucket }) => `arn:aws:s3:::${bucket}`),
  );

/** Who writes, without the right to change it. */
export const readingTheClaim = ({ claims }: PolicyBuckets): Statement[] => [
  allow('ReadTheClaim', ['s3:GetObject'], objectsIn(claims, objectKeys.claim)),
  seeingWhatIsMissing('SeeThatThereIsNoClaim', claims),
];

export const movingTheClaim = ({ claims }: PolicyBuckets): Statement[] => [
  allow('ReadAndSwapTheClaim', ['s3:GetObject', 's3:PutObject'], objectsIn(claims, objectKeys.claim)),
  seeingWhatIsMissing('SeeThatThereIsNoClaim', claims),
];

/** Traffic of all regions: most of the time there is no object at all. */
export const movingTheTraffic = ({ takeovers }: PolicyBuckets): Statement[] => [
  allow(
    'PutAndTakeAwayTheTakeover',
    ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
    objectsIn(takeovers, objectKeys.takeover),
  ),
  seeingWhatIsMissing('SeeThatNobodyTakesOver', takeovers),
];

/** Six characters that AWS adds end a secret's ARN. */
export const secretArns = (platform: Platform, ...names: readonly string[]): string[] =>
  platform.regions.flatMap(({ region, account }) =>
    names.map((name) => `arn:aws:secretsmanager:${region}:${account}:secret:${name}-??????`),
  );

/** Pods are the cluster's affair: who lets the operator in there is its access entry. */
export const reachingClusters = (platform: Platform): Statement =>
  allow(
    'ReachTheClusters',
    ['eks:DescribeCluster'],
    platform.regions.map((one) => clusterArn(platform, one)),
  );

/** The first part of a Global Datastore's id is AWS's invention; what it is ends in our prefix. Regions have no part in its ARN. */
export const movingTheCache = (platform: Platform, ...verbs: readonly ('Failover' | 'Disassociate')[]): Statement[] =>
  platform.globalCache
    ? [
        allow('SeeTheCaches', ['elasticache:DescribeReplicationGroups'], caches(platform)),
        allow(
          'MoveTheCacheOverRegions',
          [
            'elasticache:DescribeGlobalReplicationGroups',
            ...verbs.map((verb) => `elasticache:${verb}GlobalReplicationGroup`),
          ],
          [`arn:aws:elasticache::${platform.primary.account}:globalreplicationgroup:*-${prefix(platform)}`],
        ),
      ]
    : [];

export const caches = (platform: Platform): string[] =>
  platform.regions.map(
    ({ region, account }) => `arn:aws:elasticache:${region}:${account}:replicationgroup:${cacheName(platform)}`,
  );
