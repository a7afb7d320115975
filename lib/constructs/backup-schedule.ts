import { Aws, Duration } from 'aws-cdk-lib';
import * as backup from 'aws-cdk-lib/aws-backup';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { copiesKeptDays } from '../platform/tiers.ts';
import { acknowledge } from './acknowledge.ts';

export interface BackupScheduleProps {
  readonly name: string;
  readonly vault: backup.IBackupVault;
  /** What is backed up. */
  readonly resourceArns: readonly string[];
  /** ARNs of vaults that get a copy of everything: in another region, in another account. */
  readonly copyTo: Readonly<Record<string, string>>;
}

const policies = ['AWSBackupServiceRolePolicyForBackup', 'AWSBackupServiceRolePolicyForRestores'] as const;

/** The role that AWS Backup acts under, with the two policies that AWS keeps for it. */
export class BackupRole extends iam.Role {
  constructor(scope: Construct, id: string, region: string) {
    super(scope, id, {
      description: `AWS Backup in ${region}`,
      assumedBy: new iam.ServicePrincipal('backup.amazonaws.com'),
      managedPolicies: policies.map((name) => iam.ManagedPolicy.fromAwsManagedPolicyName(`service-role/${name}`)),
    });
    for (const name of policies) {
      acknowledge(
        this,
        `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/${name}]`,
        'AWS widens the policy when AWS Backup needs more; a copy of ours would make backups fail on that day.',
      );
    }
  }
}

/** Daily and monthly backups, away from the database’s own window, each copied to another region. */
export class BackupSchedule extends Construct {
  constructor(scope: Construct, id: string, props: BackupScheduleProps & { readonly role: iam.IRole }) {
    super(scope, id);
    const plan = new backup.BackupPlan(this, 'Plan', { backupPlanName: props.name, backupVault: props.vault });
    const copies = Object.entries(props.copyTo);
    const kept = { daily: copiesKeptDays.daily, monthly: copiesKeptDays.monthly } as const;
    // AWS Backup starts nothing within the database's windows for backups (from 3) and maintenance (until 5:30 on Sundays),
    // nor in the hour before them.
    const schedules = {
      daily: events.Schedule.cron({ hour: '7', minute: '0' }),
      monthly: events.Schedule.cron({ day: '1', hour: '10', minute: '0' }),
    } as const;
    for (const name of ['daily', 'monthly'] as const) {
      const deleteAfter = Duration.days(kept[name]);
      plan.addRule(
        new backup.BackupPlanRule({
          ruleName: name,
          scheduleExpression: schedules[name],
          startWindow: Duration.hours(1),
          completionWindow: Duration.hours(6),
          deleteAfter,
          ...(copies.length > 0 && {
            copyActions: copies.map(([kind, arn]) => ({
              destinationBackupVault: backup.BackupVault.fromBackupVaultArn(this, `${kind}-${name}`, arn),
              deleteAfter,
            })),
          }),
        }),
      );
    }
    plan.addSelection('Databases', {
      backupSelectionName: 'databases',
      resources: props.resourceArns.map((arn) => backup.BackupResource.fromArn(arn)),
      role: props.role,
    });
  }
}

export interface RestoreTestProps {
  /** Letters, digits and underscores. */
  readonly name: string;
  readonly vaultName: string;
  readonly role: iam.IRole;
  readonly subnetGroupName: string;
  readonly securityGroupId: string;
}

/** Every week AWS restores the newest backup of the vault, keeps the database for some hours and deletes it. */
export class RestoreTest extends Construct {
  constructor(scope: Construct, id: string, props: RestoreTestProps) {
    super(scope, id);
    const vaultArn = `arn:${Aws.PARTITION}:backup:${Aws.REGION}:${Aws.ACCOUNT_ID}:backup-vault:${props.vaultName}`;
    const plan = new backup.CfnRestoreTestingPlan(this, 'Plan', {
      restoreTestingPlanName: props.name,
      scheduleExpression: 'cron(0 9 ? * SUN *)',
      startWindowHours: 4,
      recoveryPointSelection: {
        algorithm: 'LATEST_WITHIN_WINDOW',
        includeVaults: [vaultArn],
        recoveryPointTypes: ['SNAPSHOT'],
        selectionWindowDays: 14,
      },
    });
    const selection = new backup.CfnRestoreTestingSelection(this, 'Databases', {
      restoreTestingPlanName: plan.restoreTestingPlanName,
      restoreTestingSelectionName: 'databases',
      protectedResourceType: 'RDS',
      protectedResourceArns: ['*'],
      iamRoleArn: props.role.roleArn,
      validationWindowHours: 8,
      restoreMetadataOverrides: {
        dbSubnetGroupName: props.subnetGroupName,
        vpcSecurityGroupIds: `["${props.securityGroupId}"]`,
        publiclyAccessible: 'false',
        multiAz: 'false',
      },
    });
    selection.addResourceDependency(plan);
  }
}
