import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { PrivateEndpoints } from '../constructs/private-endpoints.ts';
import { ZonalVpc } from '../constructs/zonal-vpc.ts';
import { clusterName } from '../platform/names.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

/** VPC over the region's zones, one NAT gateway each, and private ways to the AWS services that serving needs. */
export class NetworkStack extends RegionalStack {
  readonly vpc: ec2.Vpc;

  constructor(scope: Construct, props: RegionalProps) {
    super(scope, 'network', props);
    const { platform, region } = props;
    const network = new ZonalVpc(this, 'Network', {
      name: clusterName(platform, region.region),
      cidr: region.cidr,
      availabilityZones: region.availabilityZones,
    });
    this.vpc = network.vpc;
    new PrivateEndpoints(this, 'Endpoints', { vpc: this.vpc, cidr: region.cidr });
  }
}
