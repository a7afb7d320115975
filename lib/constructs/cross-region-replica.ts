import { Aws, CfnCondition, Fn } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { DatabaseInstance, type DatabaseInstanceProps } from './database-instance.ts';
import type { RoleParameters } from './role-parameters.ts';

export interface CrossRegionReplicaProps extends DatabaseInstanceProps {
  /** ARN of the source, computed from its name: a reference would tie this region to the source's stack. */
  readonly sourceArn: string;
  readonly sourceRegion: string;
  readonly parameters: RoleParameters;
}

/**
 * A replica of another region's database. When the stack's parameters say so, the source is left out, and CloudFormation
 * promotes the replica. Nothing else may depend on the role: before a promotion CloudFormation waits for replication to
 * finish any other change, and a dead source never finishes.
 */
export class CrossRegionReplica extends DatabaseInstance {
  constructor(scope: Construct, id: string, props: CrossRegionReplicaProps) {
    const { regionRole, dbPromotion } = props.parameters;
    const replicates = new CfnCondition(scope, `${id}Replicates`, {
      // With `external` the RDS API has promoted already; the template keeps the source, which is then no change.
      expression: Fn.conditionOr(
        Fn.conditionEquals(regionRole.valueAsString, 'standby'),
        Fn.conditionEquals(dbPromotion.valueAsString, 'external'),
      ),
    });
    super(scope, id, {
      ...props,
      // Engine, user, database name and encryption come from the source, and stating them would be a change later.
      lineage: {
        sourceDbInstanceIdentifier: Fn.conditionIf(replicates.logicalId, props.sourceArn, Aws.NO_VALUE).toString(),
        sourceRegion: props.sourceRegion,
      },
    });
    if (!props.multiAz) {
      acknowledge(
        this,
        'AwsSolutions-RDS3',
        `Tier "${props.tier.name}" keeps the standby’s replica in one zone: losing it costs no data. It becomes Multi-AZ once it is promoted and other regions follow it.`,
      );
    }
    acknowledge(
      this,
      'AwsSolutions-RDS2',
      'A replica is encrypted by its KmsKeyId; AWS rejects StorageEncrypted beside a replication source.',
    );
  }
}
