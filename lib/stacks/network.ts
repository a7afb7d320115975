import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { FlowRecord } from '../constructs/flow-record.ts';
import { PrivateEndpoints } from '../constructs/private-endpoints.ts';
import { ZonalVpc } from '../constructs/zonal-vpc.ts';
import { clusterName } from '../platform/names.ts';
import type { OwnNetwork } from '../platform/spec.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

/** VPC over the region's zones, one NAT gateway each, and private ways to the AWS services that serving needs. */
export class NetworkStack extends RegionalStack {
  readonly vpc: ec2.IVpc;

  constructor(scope: Construct, props: RegionalProps) {
    super(scope, 'network', props);
    const { platform, region } = props;
    const name = clusterName(platform, region.region);
    if (region.network !== undefined) {
      this.vpc = this.ownVpc(props, region.network);
      new FlowRecord(this, 'Flows', { name, vpc: this.vpc });
      return;
    }
    const network = new ZonalVpc(this, 'Network', {
      name,
      cidr: region.cidr,
      availabilityZones: region.availabilityZones,
    });
    this.vpc = network.vpc;
    new PrivateEndpoints(this, 'Endpoints', { vpc: network.vpc, cidr: region.cidr });
  }

  /** A network that its owner looks after: routes, NAT and endpoints are his; what happens in it is recorded all the same. */
  private ownVpc({ region }: RegionalProps, network: OwnNetwork): ec2.IVpc {
    const vpc = ec2.Vpc.fromVpcAttributes(this, 'Own', {
      vpcId: network.vpcId,
      vpcCidrBlock: region.cidr,
      availabilityZones: [...region.availabilityZones],
      publicSubnetIds: [...network.publicSubnetIds],
      privateSubnetIds: [...network.privateSubnetIds],
      isolatedSubnetIds: [...network.isolatedSubnetIds],
    });
    acknowledge(vpc, '@aws-cdk/aws-ec2:noSubnetRouteTableId', 'Its owner keeps the routes; nothing here adds one.');
    return vpc;
  }
}
