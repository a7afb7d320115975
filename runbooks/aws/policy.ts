/** The rights that a book needs in AWS and no others, as an IAM policy: for the role that the operator takes on. */
import { databaseArn, objectKeys, stackName } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { RunbookId } from '../catalog.ts';
import { awsBooks, type BucketIn } from './aws-world.ts';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
}

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

export interface PolicyBuckets {
  readonly claims: readonly BucketIn[];
  readonly takeovers: readonly BucketIn[];
  /** Where journals are kept. */
  readonly journals: readonly string[];
}

const allow = (Sid: string, Action: readonly string[], Resource: readonly string[]): Statement => ({
  Sid,
  Effect: 'Allow',
  Action,
  Resource,
});

/** @returns undefined for a book that the AWS world does not run. */
export function policyOf(id: RunbookId, platform: Platform, buckets: PolicyBuckets): Policy | undefined {
  if (!awsBooks.includes(id)) return undefined;
  const objects = (names: readonly BucketIn[], key: string): string[] =>
    names.map(({ bucket }) => `arn:aws:s3:::${bucket}/${key}`);
  const stackOf = ({ region, account }: Region): string =>
    `arn:aws:cloudformation:${region}:${account}:stack/${stackName(platform, region, 'data')}/*`;
  return {
    Version: '2012-10-17',
    Statement: [
      allow('ReadAndSwapTheClaim', ['s3:GetObject', 's3:PutObject'], objects(buckets.claims, objectKeys.claim)),
      allow(
        'PutAndTakeAwayTheTakeover',
        ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
        objects(buckets.takeovers, objectKeys.takeover),
      ),
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
      allow(
        'PromoteTheStandby',
        ['rds:PromoteReadReplica', 'rds:ModifyDBInstance', 'rds:RebootDBInstance', 'rds:AddTagsToResource'],
        platform.standbys.map((one) => databaseArn(platform, one)),
      ),
      allow(
        'UpdateTheStandbysParameter',
        ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'],
        platform.standbys.map(stackOf),
      ),
      // CloudWatch knows no resources for reading.
      allow('ReadTheLag', ['cloudwatch:GetMetricData'], ['*']),
    ],
  };
}
