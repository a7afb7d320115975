import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';

export interface RoutedAliasProps {
  readonly zone: route53.IHostedZone;
  /** Name that is answered for. */
  readonly name: string;
  /** Name in the same zone whose answer is given. */
  readonly target: string;
  /** How this record competes with others of the same name; without it the record stands alone. */
  readonly routing?: {
    readonly setIdentifier: string;
    readonly healthCheck?: route53.IHealthCheck;
  } & (
    | { readonly failover: route53.Failover }
    | { readonly latencyOf: string }
    /** May be a token. */
    | { readonly weight: number }
  );
}

/**
 * An alias of one name to another in the same zone. It always evaluates the target: a region whose load balancer has no
 * healthy gateway, or a set without a healthy region, gives way even when its health check still passes.
 */
export class RoutedAlias extends route53.ARecord {
  constructor(scope: Construct, id: string, props: RoutedAliasProps) {
    const { zone, routing } = props;
    super(scope, id, {
      zone,
      recordName: `${props.name}.`,
      target: route53.RecordTarget.fromAlias({
        bind: () => ({ dnsName: props.target, hostedZoneId: zone.hostedZoneId, evaluateTargetHealth: true }),
      }),
      ...(routing !== undefined && {
        setIdentifier: routing.setIdentifier,
        healthCheck: routing.healthCheck,
        ...rule(routing),
      }),
    });
  }
}

function rule(routing: NonNullable<RoutedAliasProps['routing']>): Partial<route53.ARecordProps> {
  if ('failover' in routing) return { failover: routing.failover };
  return 'weight' in routing ? { weight: routing.weight } : { region: routing.latencyOf };
}
