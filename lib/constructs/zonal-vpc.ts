import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { FlowRecord } from './flow-record.ts';

export interface ZonalVpcProps {
  readonly name: string;
  readonly cidr: string;
  /** One public, one private and one isolated subnet, and one NAT gateway, in each. */
  readonly availabilityZones: readonly string[];
}

/**
 * A VPC in which no zone depends on another: each has its own NAT gateway and route tables. Stores live in isolated
 * subnets without any route out.
 */
export class ZonalVpc extends Construct {
  readonly vpc: ec2.Vpc;

  constructor(scope: Construct, id: string, props: ZonalVpcProps) {
    super(scope, id);
    const prefixLength = Number(props.cidr.split('/')[1]);
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      vpcName: props.name,
      ipAddresses: ec2.IpAddresses.cidr(props.cidr),
      availabilityZones: [...props.availabilityZones],
      natGateways: props.availabilityZones.length,
      // Closing the default group takes a Lambda with rights over security groups in every region; nothing joins that
      // group, so an unused group is the smaller risk.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        // Every pod has an address of its own, so an eighth of the range per zone goes to the cluster.
        { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: prefixLength + 3 },
        { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: prefixLength + 6, mapPublicIpOnLaunch: false },
        { name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: prefixLength + 6 },
      ],
    });
    acknowledge(
      this.vpc,
      'CloudFormation-Validate::W3010',
      'Zones come from the configuration: a lookup would need credentials at synth, and fail while the region does.',
    );
    new FlowRecord(this, 'Flows', { name: props.name, vpc: this.vpc });
  }
}
