/** The rights that a book needs in AWS and no others, as an IAM policy: for the role that the operator takes on. */
import {
  databaseArn,
  databaseSecretName,
  gatewaySecretName,
  readinessMetric,
  stackName,
} from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { RunbookId } from '../catalog.ts';
import { awsBooks } from './aws-world.ts';
import {
  allow,
  movingTheCache,
  movingTheClaim,
  movingTheTraffic,
  type PolicyBuckets,
  reachingClusters,
  readingTheClaim,
  type Statement,
  secretArns,
  useOfKeys,
} from './rights.ts';
import { replacement, replacing, restoring, returning, seeingBackups } from './rights-over-databases.ts';
import { drilling } from './rights-over-drills.ts';
import { leavingZones, rebuilding, releasing, rotating, upgrading } from './rights-over-regions.ts';

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** IAM refuses a statement about nothing: a platform of one region has neither claim nor takeover. */
const policy = (...statements: readonly Statement[]): Policy => ({
  Version: '2012-10-17',
  Statement: statements.filter(({ Resource }) => Resource.length > 0),
});

/** @returns undefined for a book that the AWS world does not run. */
export function policyOf(id: RunbookId, platform: Platform, buckets: PolicyBuckets): Policy | undefined {
  if (!awsBooks.includes(id)) return undefined;
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
  // What gateways log in with is read in the cluster, where nothing carries it there.
  if (id === 'backup-verify') return policy(...common, ...restoring(platform), reachingClusters(platform));
  if (id === 'disaster-restore') {
    return policy(
      ...common,
      ...restoring(platform),
      ...movingTheClaim(buckets),
      ...replacing(platform),
      ...rebuilding(platform),
      ...movingTheTraffic(buckets),
    );
  }
  if (id === 'release') return policy(...common, ...readingTheClaim(buckets), ...releasing(platform));
  if (id === 'credential-rotation') return policy(...common, ...readingTheClaim(buckets), ...rotating(platform));
  if (id === 'zone-evacuation') return policy(...common, ...leavingZones(platform));
  // Beside the policy of the book that is drilled.
  if (id === 'drill') return policy(...common, ...readingTheClaim(buckets), ...drilling(platform));
  if (id === 'upgrade') return policy(...common, ...upgrading(platform));
  if (id === 'database-restore') {
    return policy(
      ...common,
      ...restoring(platform),
      ...movingTheClaim(buckets),
      ...replacing(platform),
      reachingClusters(platform),
    );
  }
  /** The region that gets the right to write: a standby in an emergency, the primary when it is given back. */
  const promoted = id === 'region-failback' ? [replacement(platform.primary)] : platform.standbys;
  return policy(
    ...common,
    ...movingTheClaim(buckets),
    ...movingTheTraffic(buckets),
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
  );
}

/** What `holdfast region ready` reads, and the one metric that it puts. */
export function readinessPolicy(platform: Platform, buckets: PolicyBuckets): Policy {
  return policy(
    ...readingTheClaim(buckets),
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
  );
}
