/** The rights that a book needs in AWS and no others, as an IAM policy: for the role that the operator takes on. */
import {
  databaseArn,
  databaseSecretName,
  gatewaySecretName,
  objectKeys,
  readinessMetric,
  stackName,
} from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { RunbookId } from '../catalog.ts';
import { awsBooks, type BucketIn } from './aws-world.ts';
import {
  allow,
  claimReader,
  movingTheCache,
  type PolicyBuckets,
  reachingClusters,
  type Statement,
  secretArns,
  useOfKeys,
} from './rights.ts';
import { replacement, replacing, restoring, returning, seeingBackups } from './rights-over-databases.ts';
import { leavingZones, rebuilding, releasing, rotating, upgrading } from './rights-over-regions.ts';

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** @returns undefined for a book that the AWS world does not run. */
export function policyOf(id: RunbookId, platform: Platform, buckets: PolicyBuckets): Policy | undefined {
  if (!awsBooks.includes(id)) return undefined;
  const objects = (names: readonly BucketIn[], key: string): string[] =>
    names.map(({ bucket }) => `arn:aws:s3:::${bucket}/${key}`);
  const stackOf = ({ region, account }: Region): string =>
    `arn:aws:cloudformation:${region}:${account}:stack/${stackName(platform, region, 'data')}/*`;
  const common = [
    // Written once and never deleted: who runs a book must not be able to change what it did.
    allow(
      'KeepTheJournal',
      ['s3:GetObject', 's3:PutObject'],
      buckets.journals.map((bucket) => `arn:aws:s3:::${bucket}/runs/*`),
    ),
    allow(
      'ListTheJournal',
      ['s3:ListBucket'],
      buckets.journals.map((bucket) => `arn:aws:s3:::${bucket}`),
    ),
    allow(
      'SeeTheDatabases',
      ['rds:DescribeDBInstances'],
      platform.regions.map((one) => databaseArn(platform, one)),
    ),
    useOfKeys(platform),
  ];
  const claimStatement = allow(
    'ReadAndSwapTheClaim',
    ['s3:GetObject', 's3:PutObject'],
    objects(buckets.claims, objectKeys.claim),
  );
  if (id === 'backup-verify') return { Version: '2012-10-17', Statement: [...common, ...restoring(platform)] };
  if (id === 'disaster-restore') {
    return {
      Version: '2012-10-17',
      Statement: [
        ...common,
        ...restoring(platform),
        claimStatement,
        ...replacing(platform),
        ...rebuilding(platform),
        allow(
          'PutTheTakeover',
          ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
          objects(buckets.takeovers, objectKeys.takeover),
        ),
      ],
    };
  }
  if (id === 'release')
    return { Version: '2012-10-17', Statement: [...common, claimReader(buckets), ...releasing(platform)] };
  if (id === 'credential-rotation') {
    return { Version: '2012-10-17', Statement: [...common, claimReader(buckets), ...rotating(platform)] };
  }
  if (id === 'zone-evacuation') return { Version: '2012-10-17', Statement: [...common, ...leavingZones(platform)] };
  if (id === 'upgrade') return { Version: '2012-10-17', Statement: [...common, ...upgrading(platform)] };
  if (id === 'database-restore') {
    return {
      Version: '2012-10-17',
      Statement: [
        ...common,
        ...restoring(platform),
        claimStatement,
        ...replacing(platform),
        reachingClusters(platform),
      ],
    };
  }
  /** The region that gets the right to write: a standby in an emergency, the primary when it is given back. */
  const promoted = id === 'region-failback' ? [replacement(platform.primary)] : platform.standbys;
  return {
    Version: '2012-10-17',
    Statement: [
      ...common,
      claimStatement,
      allow(
        'PutAndTakeAwayTheTakeover',
        ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
        objects(buckets.takeovers, objectKeys.takeover),
      ),
      allow(
        'PromoteTheStandby',
        ['rds:PromoteReadReplica', 'rds:ModifyDBInstance', 'rds:RebootDBInstance', 'rds:AddTagsToResource'],
        promoted.map((one) => databaseArn(platform, one)),
      ),
      allow(
        'UpdateTheStandbysParameter',
        ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'],
        promoted.map(stackOf),
      ),
      // CloudWatch knows no resources for reading.
      allow('ReadTheLag', ['cloudwatch:GetMetricData'], ['*']),
      ...movingTheCache(platform, 'Failover', ...(id === 'region-failover' ? (['Disassociate'] as const) : [])),
      ...(id === 'region-failback' ? returning(platform) : []),
    ],
  };
}

/** What `holdfast region ready` reads, and the one metric that it puts. */
export function readinessPolicy(platform: Platform, buckets: PolicyBuckets): Policy {
  return {
    Version: '2012-10-17',
    Statement: [
      claimReader(buckets),
      useOfKeys(platform),
      allow(
        'SeeTheSecretsVersions',
        ['secretsmanager:DescribeSecret'],
        secretArns(platform, databaseSecretName(platform), gatewaySecretName(platform)),
      ),
      ...seeingBackups(platform),
      allow(
        'SeeTheDatabases',
        ['rds:DescribeDBInstances'],
        platform.regions.map((one) => databaseArn(platform, one)),
      ),
      reachingClusters(platform),
      allow('SeeTheQuotas', ['servicequotas:GetServiceQuota', 'servicequotas:GetAWSDefaultServiceQuota'], ['*']),
      {
        ...allow('PutTheMetric', ['cloudwatch:PutMetricData'], ['*']),
        Condition: { StringEquals: { 'cloudwatch:namespace': readinessMetric.namespace } },
      },
    ],
  };
}
