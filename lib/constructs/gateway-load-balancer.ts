import { Duration } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import {
  clientKeepAliveSeconds,
  drain,
  gatewayPort,
  healthPaths,
  longestStreamSeconds,
} from '../../gateway/contract.ts';
import type { Tier } from '../platform/tiers.ts';
import { AccessLogBucket } from './access-log-bucket.ts';
import { acknowledge } from './acknowledge.ts';

export interface GatewayLoadBalancerProps {
  readonly name: string;
  /** By it, and not by an ARN that AWS invents, the manifests put pods into the target group. */
  readonly targetGroupName: string;
  readonly vpc: ec2.IVpc;
  readonly certificate: acm.ICertificate;
  readonly tier: Tier;
}

/**
 * The load balancer of a region. CDK makes it and not Kubernetes, so that its name, health checks and DNS record stand
 * whatever state the cluster is in. Pods register in its target group through a TargetGroupBinding.
 */
export class GatewayLoadBalancer extends Construct {
  readonly loadBalancer: elb.ApplicationLoadBalancer;
  readonly targetGroup: elb.ApplicationTargetGroup;
  readonly securityGroup: ec2.SecurityGroup;
  readonly listener: elb.ApplicationListener;

  constructor(scope: Construct, id: string, props: GatewayLoadBalancerProps) {
    super(scope, id);
    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Clients of the gateway',
      allowAllOutbound: false,
    });
    this.securityGroup.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'HTTPS from anywhere');
    this.securityGroup.addEgressRule(ec2.Peer.ipv4(props.vpc.vpcCidrBlock), ec2.Port.tcp(gatewayPort), 'Gateway pods');
    acknowledge(
      this.securityGroup,
      'AwsSolutions-EC23',
      'The gateway is a public API: HTTPS only, keys checked by the gateway, a web application firewall in front.',
    );
    this.loadBalancer = new elb.ApplicationLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: props.name,
      vpc: props.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      internetFacing: true,
      securityGroup: this.securityGroup,
      deletionProtection: true,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: elb.DesyncMitigationMode.DEFENSIVE,
      // A model may think for minutes between two chunks, so silence as long as the longest stream is allowed.
      idleTimeout: Duration.seconds(longestStreamSeconds + 10),
      clientKeepAlive: Duration.seconds(clientKeepAliveSeconds),
    });
    this.loadBalancer.setAttribute('zonal_shift.config.enabled', 'true');
    this.loadBalancer.logAccessLogs(new AccessLogBucket(this, 'AccessLogs'));
    this.targetGroup = this.gatewayTargets(props);
    this.listener = this.loadBalancer.addListener('Https', {
      port: 443,
      protocol: elb.ApplicationProtocol.HTTPS,
      sslPolicy: elb.SslPolicy.TLS13_12_RES_PQ,
      certificates: [props.certificate],
      // No listener on port 80: a redirect would let a client send its key in the clear and never notice.
      open: false,
      defaultTargetGroups: [this.targetGroup],
    });
  }

  private gatewayTargets({ targetGroupName, vpc, tier }: GatewayLoadBalancerProps): elb.ApplicationTargetGroup {
    return new elb.ApplicationTargetGroup(this, 'Gateway', {
      targetGroupName,
      vpc,
      targetType: elb.TargetType.IP,
      protocol: elb.ApplicationProtocol.HTTP,
      port: gatewayPort,
      // Streams last from milliseconds to minutes, so turns in a circle would pile up; the idlest target is better.
      loadBalancingAlgorithmType: elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
      // As long as a leaving gateway goes on answering, counted like this from the decision to end it.
      deregistrationDelay: Duration.seconds(drain.pauseSeconds + drain.noticeSeconds + drain.deadlineSeconds),
      healthCheck: {
        path: healthPaths.readiness,
        port: String(gatewayPort),
        protocol: elb.Protocol.HTTP,
        healthyHttpCodes: '200',
        interval: Duration.seconds(tier.loadBalancer.healthCheckIntervalSeconds),
        timeout: Duration.seconds(tier.loadBalancer.healthCheckTimeoutSeconds),
        healthyThresholdCount: tier.loadBalancer.healthyThreshold,
        unhealthyThresholdCount: tier.loadBalancer.unhealthyThreshold,
      },
      // A zone without a healthy gateway leaves the load balancer's DNS answer; with none left, all are tried.
      targetGroupHealth: { dnsMinimumHealthyTargetCount: 1, routingMinimumHealthyTargetCount: 1 },
    });
  }
}
