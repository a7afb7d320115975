import { CfnParameter, Fn, Stack } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';
import { loadBalancerParameter, outputs } from '../platform/names.ts';

export interface ForeignRegionNameProps {
  readonly zone: route53.IHostedZone;
  readonly name: string;
  readonly region: string;
}

/**
 * The own name of a region whose load balancer is in another account: Route 53 answers for it all the same, and AWS named it,
 * so zone and name come as a parameter. Without a default: what leads nowhere must not be deployed.
 */
export class ForeignRegionName extends Construct {
  constructor(scope: Construct, id: string, { zone, name, region }: ForeignRegionNameProps) {
    super(scope, id);
    const parameter = new CfnParameter(Stack.of(this), loadBalancerParameter(region), {
      type: 'CommaDelimitedList',
      description: `ZONE,NAME: output ${outputs.loadBalancerAlias} of the ingress stack of ${region}`,
    });
    const [hostedZoneId = '', dnsName = ''] = [0, 1].map((part) => Fn.select(part, parameter.valueAsList));
    new route53.CfnRecordSet(this, 'Record', {
      hostedZoneId: zone.hostedZoneId,
      name: `${name}.`,
      type: 'A',
      aliasTarget: { hostedZoneId, dnsName, evaluateTargetHealth: true },
    });
  }
}
