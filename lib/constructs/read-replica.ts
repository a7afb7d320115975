import type * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { DatabaseInstance, type DatabaseInstanceProps } from './database-instance.ts';

export interface ReadReplicaProps extends Omit<DatabaseInstanceProps, 'multiAz'> {
  readonly source: rds.CfnDBInstance;
  readonly availabilityZone: string;
}

/** A replica beside its source, for reads. It takes no backups and is never promoted: its source is Multi-AZ. */
export class ReadReplica extends DatabaseInstance {
  constructor(scope: Construct, id: string, props: ReadReplicaProps) {
    super(scope, id, {
      ...props,
      multiAz: false,
      lineage: {
        sourceDbInstanceIdentifier: props.source.ref,
        availabilityZone: props.availabilityZone,
        // Subnets, key and backups of a replica in the same region follow the source.
        kmsKeyId: undefined,
        dbSubnetGroupName: undefined,
        backupRetentionPeriod: 0,
        preferredBackupWindow: undefined,
      },
    });
    acknowledge(this, 'AwsSolutions-RDS2', 'A replica in the same region is encrypted with its source’s key.');
    acknowledge(this, 'AwsSolutions-RDS3', 'It serves reads beside a Multi-AZ source and is rebuilt when it is lost.');
    acknowledge(
      this,
      'CloudFormation-Validate::W3010',
      'Read replicas are spread over the zones of the configuration; AWS would be free to put them all in one.',
    );
    acknowledge(this, 'AwsSolutions-RDS13', 'Backups are taken of its source.');
  }
}
