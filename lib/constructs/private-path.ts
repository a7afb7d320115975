import { CfnCondition, CfnParameter, Fn, Tags } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';
import { tagKeys } from '../platform/names.ts';

export interface PrivatePathProps {
  /** The other region. */
  readonly region: string;
  readonly vpc: ec2.IVpc;
  readonly cidr: string;
  /** Parameter that takes the name of the other region's endpoint service. */
  readonly parameter: string;
  /** Zone in this network alone, and the other region's name in it. */
  readonly zone: route53.IHostedZone;
  readonly name: string;
}

/** The parameter's value while the other region's entrance does not stand. */
const notYet = 'none';

/**
 * The private way to another region: an endpoint in this network that leads to that region's entrance. AWS invents the
 * service's name, so it comes as a parameter once that region stands; until then there is no way and nothing waits for it.
 */
export class PrivatePath extends Construct {
  constructor(scope: Construct, id: string, props: PrivatePathProps) {
    super(scope, id);
    const service = new CfnParameter(this, props.parameter, {
      type: 'String',
      default: notYet,
      description: `Endpoint service of ${props.region}, see the outputs of its ingress stack; none while it does not stand`,
    });
    service.overrideLogicalId(props.parameter);
    const given = new CfnCondition(this, 'Given', {
      expression: Fn.conditionNot(Fn.conditionEquals(service.valueAsString, notYet)),
    });
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: `Gateways that ask ${props.region}`,
      allowAllOutbound: false,
    });
    securityGroup.addIngressRule(ec2.Peer.ipv4(props.cidr), ec2.Port.tcp(443), 'HTTPS from the VPC');
    const endpoint = new ec2.CfnVPCEndpoint(this, 'Endpoint', {
      vpcEndpointType: 'Interface',
      vpcId: props.vpc.vpcId,
      serviceName: service.valueAsString,
      serviceRegion: props.region,
      subnetIds: props.vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }).subnetIds,
      securityGroupIds: [securityGroup.securityGroupId],
    });
    endpoint.cfnOptions.condition = given;
    Tags.of(endpoint).add(tagKeys.leadsTo, props.region);
    // `ZONE:NAME` for each way in; the first leads to all zones.
    const [zoneId, dnsName] = [0, 1].map((part) =>
      Fn.select(part, Fn.split(':', Fn.select(0, endpoint.attrDnsEntries))),
    );
    const record = new route53.CfnRecordSet(this, 'Name', {
      hostedZoneId: props.zone.hostedZoneId,
      name: `${props.name}.`,
      type: 'A',
      aliasTarget: { hostedZoneId: zoneId ?? '', dnsName: dnsName ?? '', evaluateTargetHealth: false },
    });
    record.cfnOptions.condition = given;
  }
}
