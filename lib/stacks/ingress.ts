import { CfnOutput, CfnParameter, Fn } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import type { Construct } from 'constructs';
import { gatewayPort } from '../../gateway/contract.ts';
import type { DeployedNames } from '../alerts/aws-alarms.ts';
import { GatewayFirewall } from '../constructs/gateway-firewall.ts';
import { GatewayLoadBalancer } from '../constructs/gateway-load-balancer.ts';
import { PrivatePath } from '../constructs/private-path.ts';
import { StaticEntrance } from '../constructs/static-entrance.ts';
import { hasNamesElsewhere } from '../platform/accounts.ts';
import {
  clusterName,
  endpointServiceParameter,
  entranceName,
  internalDomain,
  internalZone,
  loadBalancerName,
  outputs,
  parameters,
  regionalDomain,
  targetGroupName,
} from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import type { ClusterStack } from './cluster.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface IngressStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
  readonly cluster: ClusterStack;
}

/**
 * The region's front door: certificate, firewall, load balancer and the region's own name. That name's record stands
 * here and not in the dns stack, which would otherwise need every region's load balancer in order to be deployed; unless the
 * zone is in another account, where this stack cannot write.
 */
export class IngressStack extends RegionalStack {
  /** What alarms need of what AWS named itself. */
  readonly deployed: DeployedNames;
  readonly loadBalancerArn: string;
  /** Of the load balancer with the fixed addresses. */
  readonly entranceArn: string;

  constructor(scope: Construct, props: IngressStackProps) {
    super(scope, 'ingress', props);
    const { platform, region } = props;
    const domain = regionalDomain(platform, region.region);
    const zone = hasNamesElsewhere(platform, region) ? undefined : this.hostedZone(platform);
    const certificate =
      region.certificateArn === undefined
        ? new acm.Certificate(this, 'Certificate', {
            domainName: platform.domain,
            subjectAlternativeNames: [domain, internalDomain(platform, region.region)],
            validation: acm.CertificateValidation.fromDns(zone),
          })
        : acm.Certificate.fromCertificateArn(this, 'Certificate', region.certificateArn);
    const { loadBalancer, targetGroup, securityGroup, listener } = new GatewayLoadBalancer(this, 'Gateway', {
      name: loadBalancerName(platform, region.region),
      targetGroupName: targetGroupName(platform, region.region),
      vpc: props.vpc,
      certificate,
      tier: platform.tier,
    });
    new GatewayFirewall(this, 'Firewall', {
      name: clusterName(platform, region.region),
      loadBalancerArn: loadBalancer.loadBalancerArn,
    });
    if (zone === undefined) {
      const alias = [loadBalancer.loadBalancerCanonicalHostedZoneId, loadBalancer.loadBalancerDnsName];
      new CfnOutput(this, outputs.loadBalancerAlias, { value: Fn.join(',', alias) });
    } else {
      new route53.ARecord(this, 'RegionalName', {
        zone,
        recordName: `${domain}.`,
        target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(loadBalancer, { evaluateTargetHealth: true })),
      });
    }
    new ec2.CfnSecurityGroupIngress(this, 'ToGateway', {
      groupId: props.cluster.nodeSecurityGroupId,
      sourceSecurityGroupId: securityGroup.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: gatewayPort,
      toPort: gatewayPort,
      description: 'Load balancer to gateway pods',
    });
    const entrance = new StaticEntrance(this, 'Static', {
      name: entranceName(platform, region.region),
      vpc: props.vpc,
      listener,
      account: region.account,
      regions: platform.topology === 'single-region' ? [] : platform.regions.map((each) => each.region),
    });
    this.connectPrivately(props, entrance);
    this.loadBalancerArn = loadBalancer.loadBalancerArn;
    this.entranceArn = entrance.loadBalancer.loadBalancerArn;
    this.deployed = {
      loadBalancer: loadBalancer.loadBalancerFullName,
      targetGroup: targetGroup.targetGroupFullName,
      certificateArn: certificate.certificateArn,
    };
    new CfnOutput(this, outputs.loadBalancerDnsName, { value: loadBalancer.loadBalancerDnsName });
    new CfnOutput(this, outputs.targetGroupArn, { value: targetGroup.targetGroupArn });
  }

  /** A name for each region that only this network resolves: its own leads to its entrance, the others' over PrivateLink. */
  private connectPrivately({ platform, region, vpc }: IngressStackProps, entrance: StaticEntrance): void {
    if (entrance.serviceName === undefined) return;
    const zone = new route53.PrivateHostedZone(this, 'Internal', { zoneName: internalZone(platform), vpc });
    new route53.ARecord(this, 'OwnInternalName', {
      zone,
      recordName: `${internalDomain(platform, region.region)}.`,
      target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(entrance.loadBalancer)),
    });
    for (const other of platform.regions.filter((each) => each !== region)) {
      new PrivatePath(this, `To-${other.region}`, {
        region: other.region,
        vpc,
        cidr: region.cidr,
        parameter: endpointServiceParameter(other.region),
        zone,
        name: internalDomain(platform, other.region),
      });
    }
    new CfnOutput(this, outputs.endpointServiceName, { value: entrance.serviceName });
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
