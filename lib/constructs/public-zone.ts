import { RemovalPolicy } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';

/**
 * A public hosted zone that outlives its stack. Accelerated recovery keeps its records editable, through us-west-2,
 * within an hour of losing us-east-1; it works only when it was enabled before.
 */
export class PublicZone extends route53.PublicHostedZone {
  constructor(scope: Construct, id: string, props: { readonly name: string }) {
    super(scope, id, { zoneName: props.name, acceleratedRecoveryEnabled: true });
    this.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }
}
