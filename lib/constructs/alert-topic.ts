import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

export interface AlertTopicProps {
  readonly name: string;
  readonly key: kms.Key;
  readonly account: string;
  readonly emails: readonly string[];
}

/** Services of AWS that tell the topic something. */
const publishers = ['cloudwatch.amazonaws.com', 'backup.amazonaws.com', 'events.rds.amazonaws.com'];

/** Where alarms of one severity go. Pagers subscribe to it, over HTTPS or by their own means. */
export class AlertTopic extends sns.Topic {
  constructor(scope: Construct, id: string, props: AlertTopicProps) {
    super(scope, id, { topicName: props.name, masterKey: props.key, enforceSSL: true });
    for (const publisher of publishers) {
      const principal = new iam.ServicePrincipal(publisher, {
        conditions: { StringEquals: { 'aws:SourceAccount': props.account } },
      });
      this.addToResourcePolicy(
        new iam.PolicyStatement({ principals: [principal], actions: ['sns:Publish'], resources: [this.topicArn] }),
      );
    }
    for (const [index, endpoint] of props.emails.entries()) {
      new sns.Subscription(this, `Email${index + 1}`, {
        topic: this,
        protocol: sns.SubscriptionProtocol.EMAIL,
        endpoint,
      });
    }
  }

  /** Lets the services use the key of their topics; once, however many topics share it. */
  static admitPublishers(key: kms.Key, account: string): void {
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: publishers.map((publisher) => new iam.ServicePrincipal(publisher)),
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
  }
}
