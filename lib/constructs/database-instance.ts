import { Aws, type CfnCondition, CfnDeletionPolicy, Fn, Token } from 'aws-cdk-lib';
import * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import type { Tier } from '../platform/tiers.ts';
import { acknowledgeDatabaseFindings, type DatabaseSurroundings, exportedLogs } from './database-surroundings.ts';

export interface DatabaseInstanceProps {
  readonly identifier: string;
  readonly tier: Tier;
  readonly instanceClass: string;
  readonly surroundings: DatabaseSurroundings;
  readonly multiAz: boolean;
  /** Where its backups and log are copied to as they are made, so that it can be restored there to any moment. */
  readonly backupCopies?: BackupCopies;
}

export interface BackupCopies {
  readonly region: string;
  /**
   * Key of that region, by its alias: its id is not known here. CloudFormation hands it to RDS as it is, and RDS takes alias
   * ARNs as keys of databases and clusters (terraform-provider-aws#229, cloudformation-coverage-roadmap#1583); of copies its
   * reference shows a key ARN and says no more. Where it refuses: CrossRegionCopies=off, and the copies by the RDS API.
   */
  readonly keyArn: string;
  /** No copies while this does not hold. */
  readonly when: CfnCondition;
}

/**
 * A PostgreSQL instance, either the origin or a replica: `lineage` holds the properties in which they differ. The plain
 * CloudFormation resource is used on purpose: promotion depends on exactly which properties are rendered.
 */
export class DatabaseInstance extends rds.CfnDBInstance {
  constructor(
    scope: Construct,
    id: string,
    props: DatabaseInstanceProps & { readonly lineage: Partial<rds.CfnDBInstanceProps> },
  ) {
    const { surroundings } = props;
    const { database } = props.tier;
    super(scope, id, {
      dbInstanceIdentifier: props.identifier,
      dbInstanceClass: props.instanceClass,
      multiAz: props.multiAz,
      maxAllocatedStorage: database.maxAllocatedStorageGiB,
      storageType: 'gp3',
      kmsKeyId: surroundings.key.keyArn,
      dbSubnetGroupName: surroundings.subnetGroup.ref,
      vpcSecurityGroups: [surroundings.securityGroup.securityGroupId],
      publiclyAccessible: false,
      dbParameterGroupName: surroundings.parameterGroup.ref,
      caCertificateIdentifier: 'rds-ca-rsa2048-g1',
      backupRetentionPeriod: database.backupRetentionDays,
      preferredBackupWindow: '03:00-04:00',
      preferredMaintenanceWindow: 'sun:04:30-sun:05:30',
      deleteAutomatedBackups: false,
      copyTagsToSnapshot: true,
      deletionProtection: true,
      // A minor upgrade changes nothing in the template; the replicas' windows are the same as the source's.
      autoMinorVersionUpgrade: true,
      enableCloudwatchLogsExports: [...exportedLogs],
      enablePerformanceInsights: true,
      performanceInsightsKmsKeyId: surroundings.key.keyArn,
      performanceInsightsRetentionPeriod: 7,
      ...copiesOf(props),
      ...props.lineage,
    });
    // CloudFormation deletes nothing that holds data: not when the stack goes, not when a change would replace it.
    this.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN;
    this.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
    acknowledgeDatabaseFindings(this);
  }
}

function copiesOf({ backupCopies: copies, tier }: DatabaseInstanceProps): Partial<rds.CfnDBInstanceProps> {
  if (copies === undefined) return {};
  const given = (value: string | number) => Fn.conditionIf(copies.when.logicalId, value, Aws.NO_VALUE);
  return {
    automaticBackupReplicationRegion: given(copies.region).toString(),
    automaticBackupReplicationKmsKeyId: given(copies.keyArn).toString(),
    automaticBackupReplicationRetentionPeriod: Token.asNumber(given(tier.database.backupRetentionDays)),
  };
}
