/** The rights that a book needs in AWS and no others, as an IAM policy: for the role that the operator takes on. */
import {
  backupKeyAlias,
  bootstrapBucketName,
  bucketName,
  cacheName,
  cacheSecretName,
  clusterArn,
  databaseArn,
  databaseSecretName,
  deploymentRoleArn,
  dnsStackName,
  entranceName,
  gatewaySecretName,
  kubernetes,
  loadBalancerName,
  objectKeys,
  prefix,
  readinessMetric,
  repositoryName,
  secretNameOf,
  stackName,
  storageKeyAlias,
} from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { RunbookId } from '../catalog.ts';
import { awsBooks, type BucketIn } from './aws-world.ts';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
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

/** Keys have no names, their aliases do. */
const throughKeys = (
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
const useOfKeys = (platform: Platform): Statement =>
  throughKeys('UseTheBucketsKeys', ['kms:Decrypt', 'kms:GenerateDataKey'], platform, [storageKeyAlias(platform)]);

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
      ...(id === 'region-failback' ? returning(platform) : []),
    ],
  };
}

/** The stacks of a region, by the role that `cdk bootstrap` has made for it, and what is poured into Vault. */
function rebuilding(platform: Platform): Statement[] {
  const places = platform.regions;
  return [
    allow(
      'MakeTheStacks',
      ['cloudformation:CreateStack', 'cloudformation:DescribeStacks', 'cloudformation:UpdateTerminationProtection'],
      places.map(
        ({ region, account }) => `arn:aws:cloudformation:${region}:${account}:stack/${prefix(platform)}-${region}-*/*`,
      ),
    ),
    allow(
      'PutLargeTemplates',
      ['s3:GetObject', 's3:PutObject'],
      places.map((one) => `arn:aws:s3:::${bootstrapBucketName(platform, one)}/runs/templates/*`),
    ),
    {
      ...allow(
        'HandTheStacksTheirRole',
        ['iam:PassRole'],
        places.map((one) => deploymentRoleArn(platform, one)),
      ),
      Condition: { StringEquals: { 'iam:PassedToService': 'cloudformation.amazonaws.com' } },
    },
    allow(
      'SeeTheCluster',
      ['eks:DescribeCluster'],
      places.map((one) => clusterArn(platform, one)),
    ),
    allow(
      'ReadTheVaultSnapshot',
      ['s3:GetObject'],
      places.map((one) => `arn:aws:s3:::${bucketName(platform, one, 'backup')}/${objectKeys.vaultSnapshots}*`),
    ),
  ];
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

/** The database that a failback makes, whether `holdfast.config.ts` describes it already or not. */
const replacement = (region: Region): Region => ({
  ...region,
  databaseGeneration: region.databaseGeneration + (region.databaseSource === undefined ? 1 : 0),
});

/** A new replica in the primary, a snapshot of the database before it, and the share of the clients. */
function returning(platform: Platform): Statement[] {
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
      'SetTheShare',
      ['cloudformation:DescribeStacks', 'cloudformation:UpdateStack'],
      [`arn:aws:cloudformation:${dnsRegion}:${account}:stack/${dnsStackName(platform)}/*`],
    ),
  ];
}

const seeingBackups = (platform: Platform): Statement[] => [
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
function restoring(platform: Platform): Statement[] {
  return [
    ...seeingBackups(platform),
    allow(
      'RestoreBesideWhatIsInUse',
      ['rds:RestoreDBInstanceFromDBSnapshot', 'rds:RestoreDBInstanceToPointInTime', 'rds:AddTagsToResource'],
      platform.regions.flatMap((one) => [
        databaseArn(platform, one),
        ...['db:restored-*', 'snapshot:*', 'auto-backup:*', 'subgrp:*', 'pg:*'].map(
          (kind) => `arn:aws:rds:${one.region}:${one.account}:${kind}`,
        ),
      ]),
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

/** A restored database takes the name of the old one, which gets another. */
const replacing = (platform: Platform): Statement[] => [
  allow(
    'ExchangeTheNames',
    ['rds:ModifyDBInstance'],
    platform.regions.flatMap((one) => [
      databaseArn(platform, one),
      `${databaseArn(platform, one)}-before-*`,
      `arn:aws:rds:${one.region}:${one.account}:db:restored-*`,
    ]),
  ),
];

/** Pods are the cluster's affair: who lets the operator in there is its access entry. */
const reachingClusters = (platform: Platform): Statement =>
  allow(
    'ReachTheClusters',
    ['eks:DescribeCluster'],
    platform.regions.map((one) => clusterArn(platform, one)),
  );

const releasing = (platform: Platform): Statement[] => [
  allow(
    'SeeTheImages',
    ['ecr:DescribeImages'],
    platform.regions.map(
      ({ region, account }) => `arn:aws:ecr:${region}:${account}:repository/${repositoryName(platform)}`,
    ),
  ),
  reachingClusters(platform),
];

/** Six characters that AWS adds end a secret's ARN. */
const secretArns = (platform: Platform, ...names: readonly string[]): string[] =>
  platform.regions.flatMap(({ region, account }) =>
    names.map((name) => `arn:aws:secretsmanager:${region}:${account}:secret:${name}-??????`),
  );

const rotating = (platform: Platform): Statement[] => [
  allow(
    'ChangeWhatGatewaysRead',
    [
      'secretsmanager:DescribeSecret',
      'secretsmanager:GetSecretValue',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
    ],
    secretArns(platform, gatewaySecretName(platform), secretNameOf(platform, kubernetes.pgbouncerSecret)),
  ),
  allow(
    'KeepWhatTheStacksRead',
    ['secretsmanager:PutSecretValue'],
    secretArns(platform, databaseSecretName(platform), cacheSecretName(platform)),
  ),
  throughKeys('UseTheSecretsKeys', ['kms:Decrypt', 'kms:GenerateDataKey'], platform, [
    databaseSecretName(platform),
    cacheSecretName(platform),
  ]),
  allow('GiveTheCacheATokenMore', ['elasticache:ModifyReplicationGroup'], caches(platform)),
  reachingClusters(platform),
];

/** Who writes, without the right to change it. */
const claimReader = ({ claims }: PolicyBuckets): Statement =>
  allow(
    'ReadTheClaim',
    ['s3:GetObject'],
    claims.map(({ bucket }) => `arn:aws:s3:::${bucket}/${objectKeys.claim}`),
  );

const balancers = (platform: Platform): string[] =>
  platform.regions.flatMap(({ region, account }) => {
    const start = `arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer`;
    return [`${start}/app/${loadBalancerName(platform, region)}/*`, `${start}/net/${entranceName(platform, region)}/*`];
  });

const leavingZones = (platform: Platform): Statement[] => [
  allow(
    'ShiftTraffic',
    ['arc-zonal-shift:GetManagedResource', 'arc-zonal-shift:StartZonalShift', 'arc-zonal-shift:CancelZonalShift'],
    [...balancers(platform), ...platform.regions.map((one) => clusterArn(platform, one))],
  ),
  // None of these knows resources.
  allow(
    'SeeZonesAndShifts',
    ['arc-zonal-shift:ListZonalShifts', 'ec2:DescribeAvailabilityZones', 'elasticloadbalancing:DescribeLoadBalancers'],
    ['*'],
  ),
  allow(
    'MoveTheDatabasesWriter',
    ['rds:RebootDBInstance'],
    platform.regions.map((one) => databaseArn(platform, one)),
  ),
  allow('MoveTheCachesWriter', ['elasticache:DescribeReplicationGroups', 'elasticache:TestFailover'], caches(platform)),
];

const caches = (platform: Platform): string[] =>
  platform.regions.map(
    ({ region, account }) => `arn:aws:elasticache:${region}:${account}:replicationgroup:${cacheName(platform)}`,
  );

const upgrading = (platform: Platform): Statement[] => [
  allow(
    'UpgradeTheDatabases',
    ['rds:ModifyDBInstance'],
    platform.regions.map((one) => databaseArn(platform, one)),
  ),
  allow(
    'SnapshotBeforehand',
    ['rds:CreateDBSnapshot', 'rds:DescribeDBSnapshots', 'rds:AddTagsToResource'],
    platform.regions.flatMap((one) => [
      databaseArn(platform, one),
      `arn:aws:rds:${one.region}:${one.account}:snapshot:*`,
    ]),
  ),
  // RDS knows no resources for its versions.
  allow('SeeTheVersions', ['rds:DescribeDBEngineVersions'], ['*']),
  allow(
    'UpgradeTheClusters',
    ['eks:DescribeCluster', 'eks:UpdateClusterVersion', 'eks:ListInsights'],
    platform.regions.map((one) => clusterArn(platform, one)),
  ),
];
