/** Rights of the books that rebuild, release, rotate, upgrade, and leave zones. */
import {
  bootstrapBucketName,
  bucketName,
  cacheSecretName,
  clusterArn,
  databaseArn,
  databaseSecretName,
  deploymentRoleArn,
  entranceName,
  gatewaySecretName,
  kubernetes,
  loadBalancerName,
  objectKeys,
  prefix,
  repositoryName,
  secretNameOf,
} from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { allow, caches, reachingClusters, type Statement, secretArns, throughKeys } from './rights.ts';

/** The stacks of a region, by the role that `cdk bootstrap` has made for it, and what is poured into Vault. */
export function rebuilding(platform: Platform): Statement[] {
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

export const releasing = (platform: Platform): Statement[] => [
  allow(
    'SeeTheImages',
    ['ecr:DescribeImages'],
    platform.regions.map(
      ({ region, account }) => `arn:aws:ecr:${region}:${account}:repository/${repositoryName(platform)}`,
    ),
  ),
  reachingClusters(platform),
];

export const rotating = (platform: Platform): Statement[] => [
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
  // After a failover it says which region has the secret, and which a copy.
  allow('SeeWhereItIsKept', ['secretsmanager:DescribeSecret'], secretArns(platform, databaseSecretName(platform))),
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

const balancers = (platform: Platform): string[] =>
  platform.regions.flatMap(({ region, account }) => {
    const start = `arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer`;
    return [`${start}/app/${loadBalancerName(platform, region)}/*`, `${start}/net/${entranceName(platform, region)}/*`];
  });

export const leavingZones = (platform: Platform): Statement[] => [
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

export const upgrading = (platform: Platform): Statement[] => [
  allow(
    'UpgradeTheDatabases',
    ['rds:ModifyDBInstance', 'rds:DescribeDBInstances'],
    platform.regions.flatMap((one) => [databaseArn(platform, one), `${databaseArn(platform, one)}-read-*`]),
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
