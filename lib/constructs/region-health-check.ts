import { Duration, Tags } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import { healthPaths } from '../../gateway/contract.ts';
import { regionHealthCheck } from '../platform/traffic.ts';

export interface RegionHealthCheckProps {
  /** The region's own name, which resolves to its load balancer alone. */
  readonly domain: string;
}

/** Asks a region over HTTPS, from several places in the world, whether it answers. */
export class RegionHealthCheck extends route53.HealthCheck {
  constructor(scope: Construct, id: string, props: RegionHealthCheckProps) {
    super(scope, id, {
      type: route53.HealthCheckType.HTTPS,
      fqdn: props.domain,
      port: 443,
      resourcePath: healthPaths.health,
      requestInterval: Duration.seconds(regionHealthCheck.intervalSeconds),
      failureThreshold: regionHealthCheck.failureThreshold,
      enableSNI: true,
      measureLatency: true,
    });
    // Route 53 shows this tag as the check's name.
    Tags.of(this).add('Name', props.domain);
  }
}
