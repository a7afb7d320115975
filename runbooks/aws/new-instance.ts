/** What a new database is made like: the one whose place it takes or, when that is gone, what the stack says. */
import { DescribeStackResourcesCommand, type StackResource } from '@aws-sdk/client-cloudformation';
import type { CreateDBInstanceCommandInput, DBInstance } from '@aws-sdk/client-rds';
import { databaseIdentifier, stackName } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { versions } from '../../lib/platform/versions.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { describeInstance } from './region-database.ts';

/** Network and parameters: nobody else reaches it. */
export interface Surroundings {
  readonly DBSubnetGroupName?: string;
  readonly VpcSecurityGroupIds?: string[];
  readonly DBParameterGroupName?: string;
}

/** What a new, empty database is made with, besides its names and its first user. */
export type NewInstance = Omit<
  CreateDBInstanceCommandInput,
  'DBInstanceIdentifier' | 'DBName' | 'MasterUsername' | 'MasterUserPassword' | 'Tags'
>;

/** A region's database, as far as it can be seen. */
export interface DatabasePlan {
  readonly instance: DBInstance | undefined;
  readonly surroundings: Surroundings;
  /** Id or ARN of the key of its storage. */
  readonly keyId: string | undefined;
}

/** @throws when neither the database nor its stack is there: RDS would put the new one into the account's default network. */
export async function databasePlan(
  clients: AwsClients,
  platform: Platform,
  region: Region,
  signal: AbortSignal,
): Promise<DatabasePlan> {
  const instance = await describeInstance(clients, region.region, databaseIdentifier(platform, region), signal);
  if (instance !== undefined) return { instance, surroundings: surroundingsOf(instance), keyId: instance.KmsKeyId };
  if (region.database !== undefined) {
    const { subnetGroupName, securityGroupId } = region.database;
    const surroundings = { DBSubnetGroupName: subnetGroupName, VpcSecurityGroupIds: [securityGroupId] };
    return { instance, surroundings, keyId: undefined };
  }
  const resources = await resourcesOf(clients, platform, region, signal);
  const idOf = (type: string): string | undefined =>
    resources.find(({ ResourceType }) => ResourceType === type)?.PhysicalResourceId;
  const subnetGroup = idOf('AWS::RDS::DBSubnetGroup');
  const securityGroup = idOf('AWS::EC2::SecurityGroup');
  const parameterGroup = idOf('AWS::RDS::DBParameterGroup');
  if (subnetGroup === undefined || securityGroup === undefined || parameterGroup === undefined) {
    const stack = stackName(platform, region.region, 'data');
    throw new Error(
      `${databaseIdentifier(platform, region)} is gone, and ${stack} does not say where it stood: npx cdk deploy ${stack}, then resume`,
    );
  }
  return {
    instance,
    surroundings: {
      DBSubnetGroupName: subnetGroup,
      VpcSecurityGroupIds: [securityGroup],
      DBParameterGroupName: parameterGroup,
    },
    keyId: idOf('AWS::KMS::Key'),
  };
}

async function resourcesOf(
  clients: AwsClients,
  platform: Platform,
  { region }: Region,
  abortSignal: AbortSignal,
): Promise<readonly StackResource[]> {
  try {
    const StackName = stackName(platform, region, 'data');
    const asked = new DescribeStackResourcesCommand({ StackName });
    return (await clients.cloudFormation(region).send(asked, { abortSignal })).StackResources ?? [];
  } catch (error) {
    if (isNamed(error, 'ValidationError')) return [];
    throw error;
  }
}

function surroundingsOf(instance: DBInstance): Surroundings {
  const groups = (instance.VpcSecurityGroups ?? []).flatMap(({ VpcSecurityGroupId: id }) => id ?? []);
  const subnetGroup = instance.DBSubnetGroup?.DBSubnetGroupName;
  const parameterGroup = instance.DBParameterGroups?.[0]?.DBParameterGroupName;
  return {
    ...(subnetGroup === undefined ? {} : { DBSubnetGroupName: subnetGroup }),
    ...(groups.length === 0 ? {} : { VpcSecurityGroupIds: groups }),
    ...(parameterGroup === undefined ? {} : { DBParameterGroupName: parameterGroup }),
  };
}

/** Below this RDS takes no numbers for the speed of gp3 storage. */
const tunableFromGiB = 400;

/** Pure. What a restore from a snapshot brings along by itself. */
export function newInstance({ tier }: Platform, region: Region, plan: DatabasePlan): NewInstance {
  const { surroundings, keyId, instance: old = {} } = plan;
  const { AllocatedStorage = tier.database.allocatedStorageGiB, StorageType = 'gp3' } = old;
  const isTuned = StorageType !== 'gp3' || AllocatedStorage >= tunableFromGiB;
  return {
    ...surroundings,
    Engine: 'postgres',
    EngineVersion: old.EngineVersion ?? versions.postgres.full,
    DBInstanceClass: old.DBInstanceClass ?? region.databaseInstanceClass,
    AllocatedStorage,
    MaxAllocatedStorage: old.MaxAllocatedStorage ?? tier.database.maxAllocatedStorageGiB,
    StorageType,
    Iops: isTuned ? old.Iops : undefined,
    StorageThroughput: isTuned ? old.StorageThroughput : undefined,
    StorageEncrypted: old.StorageEncrypted ?? true,
    KmsKeyId: keyId,
    BackupRetentionPeriod: old.BackupRetentionPeriod ?? tier.database.backupRetentionDays,
    PreferredBackupWindow: old.PreferredBackupWindow,
    PreferredMaintenanceWindow: old.PreferredMaintenanceWindow,
    CACertificateIdentifier: old.CACertificateIdentifier,
    EnableCloudwatchLogsExports: old.EnabledCloudwatchLogsExports,
    EnablePerformanceInsights: old.PerformanceInsightsEnabled,
    PerformanceInsightsKMSKeyId: old.PerformanceInsightsKMSKeyId,
    AutoMinorVersionUpgrade: old.AutoMinorVersionUpgrade ?? true,
    CopyTagsToSnapshot: true,
    PubliclyAccessible: false,
    // Once it is in use it gets both, as what is restored from a snapshot does.
    MultiAZ: false,
    DeletionProtection: false,
  };
}
