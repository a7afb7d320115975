import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as backup from 'aws-cdk-lib/aws-backup';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { CustomerKey } from './customer-key.ts';

export interface BackupVaultProps {
  readonly name: string;
  readonly keyAlias: string;
  /** Nobody can delete a backup that is younger; also not with all rights of this account's administrators but one. */
  readonly keepDaysAtLeast: number;
  /** Who hears of jobs that fail. */
  readonly topic?: sns.ITopic;
}

/** Backups of this region and copies of other regions' backups. */
export class BackupVault extends backup.BackupVault {
  constructor(scope: Construct, id: string, props: BackupVaultProps) {
    super(scope, id, {
      backupVaultName: props.name,
      encryptionKey: new CustomerKey(scope, `${id}Key`, { alias: props.keyAlias, description: 'Backups at rest' }),
      // Without a cooling-off date the lock stays removable by whoever may change it: governance, not compliance.
      lockConfiguration: { minRetention: Duration.days(props.keepDaysAtLeast) },
      ...(props.topic !== undefined && {
        notificationTopic: props.topic,
        notificationEvents: [
          backup.BackupVaultEvents.BACKUP_JOB_FAILED,
          backup.BackupVaultEvents.BACKUP_JOB_EXPIRED,
          backup.BackupVaultEvents.COPY_JOB_FAILED,
        ],
      }),
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
