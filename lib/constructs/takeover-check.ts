import { Duration, Tags } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import { objectKeys } from '../platform/names.ts';
import { takeoverCheck } from '../platform/traffic.ts';

export interface TakeoverCheckProps {
  /** Host of the takeover bucket. */
  readonly host: string;
  readonly region: string;
}

/**
 * Healthy while nobody takes over to a region: the check asks for the object in that region's bucket and is turned round.
 * When the bucket cannot be read, nobody takes over. Writing the object moves traffic through the data plane of S3 and of
 * Route 53 alone, in the region that is to serve.
 */
export class TakeoverCheck extends route53.HealthCheck {
  constructor(scope: Construct, id: string, props: TakeoverCheckProps) {
    super(scope, id, {
      type: route53.HealthCheckType.HTTPS,
      fqdn: props.host,
      port: 443,
      resourcePath: `/${objectKeys.takeover}`,
      requestInterval: Duration.seconds(takeoverCheck.intervalSeconds),
      failureThreshold: takeoverCheck.failureThreshold,
      inverted: true,
      enableSNI: true,
    });
    Tags.of(this).add('Name', `nobody takes over to ${props.region}`);
  }
}
