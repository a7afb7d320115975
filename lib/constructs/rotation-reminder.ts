import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

export interface RotationReminderProps {
  readonly name: string;
  readonly account: string;
  readonly everyDays: number;
  readonly topic: sns.ITopic;
  /** Of the topic. */
  readonly key: kms.IKey;
  readonly message: string;
}

/**
 * Calls for the rotation of a region's credentials when its time has come, and once at the beginning (a rate without a start
 * begins at once): until then all regions have the administrator's login. It calls people and not a function: a function of one
 * region would go on changing a password after another region was promoted, and its copies along with it.
 */
export class RotationReminder extends Construct {
  constructor(scope: Construct, id: string, props: RotationReminderProps) {
    super(scope, id);
    const role = new iam.Role(this, 'Role', {
      description: 'Tells the topic that credentials are to be rotated',
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': props.account } },
      }),
    });
    role.addToPolicy(new iam.PolicyStatement({ actions: ['sns:Publish'], resources: [props.topic.topicArn] }));
    role.addToPolicy(
      new iam.PolicyStatement({ actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [props.key.keyArn] }),
    );
    new scheduler.CfnSchedule(this, 'Schedule', {
      name: props.name,
      description: 'Rotation of credentials, as often as the tier asks',
      scheduleExpression: `rate(${props.everyDays} days)`,
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: props.topic.topicArn,
        roleArn: role.roleArn,
        input: props.message,
        retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: 86_400 },
      },
    });
  }
}
