import { RemovalPolicy } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

export interface CustomerKeyProps {
  /** Alias without the `alias/` prefix, for example `holdfast-production/database`. */
  readonly alias: string;
  readonly description: string;
}

/**
 * A key that rotates yearly and outlives its stack. Each region has its own, so that no region needs another one's KMS
 * to read its data.
 */
export class CustomerKey extends Key {
  constructor(scope: Construct, id: string, props: CustomerKeyProps) {
    super(scope, id, {
      alias: props.alias,
      description: props.description,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
