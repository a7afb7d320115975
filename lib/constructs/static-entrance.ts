import { Duration } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { AlbListenerTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets';
import { Construct } from 'constructs';
import { healthPaths, longestStreamSeconds } from '../../gateway/contract.ts';
import { AccessLogBucket } from './access-log-bucket.ts';
import { acknowledge } from './acknowledge.ts';

export interface StaticEntranceProps {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  /** HTTPS listener that everything is passed on to, with its certificate and firewall. */
  readonly listener: elb.ApplicationListener;
  /** Account whose networks may connect privately. */
  readonly account: string;
  /** Regions from which they may; empty offers no private way. */
  readonly regions: readonly string[];
}

/**
 * One address for each zone that never changes, for clients whose firewalls want addresses, and the private way in for the
 * other regions' gateways (PrivateLink): what they ship and ask does not cross the internet, and overlapping networks do
 * not matter. It passes bytes on to the load balancer behind it, which ends TLS and filters for everyone alike.
 */
export class StaticEntrance extends Construct {
  readonly loadBalancer: elb.NetworkLoadBalancer;
  /** Name of the endpoint service, for the other regions; AWS invents it. */
  readonly serviceName: string | undefined;

  constructor(scope: Construct, id: string, props: StaticEntranceProps) {
    super(scope, id);
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Clients that want fixed addresses',
      allowAllOutbound: false,
    });
    securityGroup.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'HTTPS from anywhere');
    securityGroup.addEgressRule(
      ec2.Peer.ipv4(props.vpc.vpcCidrBlock),
      ec2.Port.tcp(443),
      'The load balancer behind it',
    );
    acknowledge(
      securityGroup,
      'AwsSolutions-EC23',
      'The gateway is a public API: HTTPS only, passed on to the load balancer with the firewall.',
    );
    this.loadBalancer = new elb.NetworkLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: props.name,
      vpc: props.vpc,
      internetFacing: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      securityGroups: [securityGroup],
      enforceSecurityGroupInboundRulesOnPrivateLinkTraffic: false,
      deletionProtection: true,
      // Each zone's address leads to the load balancer in that zone, so that no zone needs another one. AWS refuses zonal
      // shift across zones where the target is a load balancer (ELB guide, "Enable zonal shift").
      crossZoneEnabled: false,
      zonalShift: true,
    });
    this.fixAddresses(props.vpc);
    this.loadBalancer.logAccessLogs(new AccessLogBucket(this, 'AccessLogs'));
    const targets = new elb.NetworkTargetGroup(this, 'Balancer', {
      vpc: props.vpc,
      port: 443,
      protocol: elb.Protocol.TCP,
      targetType: elb.TargetType.ALB,
      targets: [new AlbListenerTarget(props.listener)],
      healthCheck: {
        protocol: elb.Protocol.HTTPS,
        path: healthPaths.health,
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 2,
      },
    });
    this.loadBalancer.addListener('Https', {
      port: 443,
      protocol: elb.Protocol.TCP,
      defaultTargetGroups: [targets],
      // It would forget a silent connection after 350 s; the load balancer behind it is to be the one that ends it.
      tcpIdleTimeout: Duration.seconds(longestStreamSeconds + 20),
    });
    this.serviceName = props.regions.length === 0 ? undefined : this.offer(props);
  }

  private fixAddresses(vpc: ec2.IVpc): void {
    const resource = this.loadBalancer.node.defaultChild;
    if (!(resource instanceof elb.CfnLoadBalancer))
      throw new Error('the construct library hides the load balancer’s resource');
    resource.subnetMappings = vpc.publicSubnets.map(({ subnetId, availabilityZone }) => ({
      subnetId,
      allocationId: new ec2.CfnEIP(this, `Address-${availabilityZone.slice(-1)}`, { domain: 'vpc' }).attrAllocationId,
    }));
    resource.subnets = undefined;
  }

  private offer({ account, regions }: StaticEntranceProps): string {
    const service = new ec2.CfnVPCEndpointService(this, 'Service', {
      networkLoadBalancerArns: [this.loadBalancer.loadBalancerArn],
      acceptanceRequired: false,
      supportedRegions: [...regions],
    });
    new ec2.CfnVPCEndpointServicePermissions(this, 'Permissions', {
      serviceId: service.ref,
      allowedPrincipals: [`arn:aws:iam::${account}:root`],
    });
    return `com.amazonaws.vpce.${this.loadBalancer.env.region}.${service.ref}`;
  }
}
