import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

/** Looks at the records of a zone. */
export const readingRecords = (zoneId: string): iam.PolicyStatement =>
  new iam.PolicyStatement({
    actions: ['route53:ListResourceRecordSets'],
    resources: [`arn:aws:route53:::hostedzone/${zoneId}`],
  });

/** Role beside the names, by which the recovery plan of another account looks at their records. */
export class RecordsReader extends iam.Role {
  constructor(
    scope: Construct,
    id: string,
    props: { readonly name: string; readonly zoneId: string; readonly planRoleArn: string },
  ) {
    super(scope, id, {
      roleName: props.name,
      description: 'ARC Region switch looks at records',
      assumedBy: new iam.ArnPrincipal(props.planRoleArn),
    });
    this.addToPolicy(readingRecords(props.zoneId));
  }
}
