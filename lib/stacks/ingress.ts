import { CfnOutput, CfnParameter } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import type { Construct } from 'constructs';
import { gatewayPort } from '../../gateway/contract.ts';
import type { DeployedNames } from '../alerts/aws-alarms.ts';
import { GatewayFirewall } from '../constructs/gateway-firewall.ts';
import { GatewayLoadBalancer } from '../constructs/gateway-load-balancer.ts';
import { clusterName, loadBalancerName, outputs, parameters, regionalDomain } from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import type { ClusterStack } from './cluster.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface IngressStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
  readonly cluster: ClusterStack;
}

/**
 * The region's front door: certificate, firewall, load balancer and the region's own name. That name's record stands
 * here and not in the dns stack, which would otherwise need every region's load balancer in order to be deployed.
 */
export class IngressStack extends RegionalStack {
  /** What alarms need of what AWS named itself. */
  readonly deployed: DeployedNames;
  readonly loadBalancerArn: string;

  constructor(scope: Construct, props: IngressStackProps) {
    super(scope, 'ingress', props);
    const { platform, region } = props;
    const domain = regionalDomain(platform, region.region);
    const zone = this.hostedZone(platform);
    const certificate = new acm.Certificate(this, 'Certificate', {
      domainName: platform.domain,
      subjectAlternativeNames: [domain],
      validation: acm.CertificateValidation.fromDns(zone),
    });
    const { loadBalancer, targetGroup, securityGroup } = new GatewayLoadBalancer(this, 'Gateway', {
      name: loadBalancerName(platform, region.region),
      vpc: props.vpc,
      certificate,
      tier: platform.tier,
    });
    new GatewayFirewall(this, 'Firewall', {
      name: clusterName(platform, region.region),
      loadBalancerArn: loadBalancer.loadBalancerArn,
    });
    new route53.ARecord(this, 'RegionalName', {
      zone,
      recordName: `${domain}.`,
      target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(loadBalancer, { evaluateTargetHealth: true })),
    });
    new ec2.CfnSecurityGroupIngress(this, 'ToGateway', {
      groupId: props.cluster.nodeSecurityGroupId,
      sourceSecurityGroupId: securityGroup.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: gatewayPort,
      toPort: gatewayPort,
      description: 'Load balancer to gateway pods',
    });
    this.loadBalancerArn = loadBalancer.loadBalancerArn;
    this.deployed = {
      loadBalancer: loadBalancer.loadBalancerFullName,
      targetGroup: targetGroup.targetGroupFullName,
      certificateArn: certificate.certificateArn,
    };
    new CfnOutput(this, outputs.loadBalancerDnsName, { value: loadBalancer.loadBalancerDnsName });
    new CfnOutput(this, outputs.targetGroupArn, { value: targetGroup.targetGroupArn });
  }

  /** The zone from the configuration; while the dns stack has only just created it, its id comes as a parameter. */
  private hostedZone(platform: Platform): route53.IHostedZone {
    const hostedZoneId =
      platform.hostedZone.id ??
      new CfnParameter(this, parameters.hostedZoneId, {
        type: 'AWS::Route53::HostedZone::Id',
        description: `Public hosted zone ${platform.hostedZone.name}, see the outputs of the dns stack`,
      }).valueAsString;
    return route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId,
      zoneName: platform.hostedZone.name,
    });
  }
}
