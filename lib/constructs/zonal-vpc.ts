import { Aws, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { CustomerKey } from './customer-key.ts';

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
    this.recordFlows(props.name);
  }

  private recordFlows(name: string): void {
    const key = new CustomerKey(this, 'FlowLogKey', {
      alias: `${name}/flow-logs`,
      description: `Flow logs of ${name}`,
    });
    const logGroupName = `/holdfast/${name}/flow-logs`;
    const groupArn = `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:${logGroupName}`;
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal(`logs.${Aws.REGION}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: { ArnEquals: { 'kms:EncryptionContext:aws:logs:arn': groupArn } },
      }),
    );
    const logGroup = new logs.LogGroup(this, 'FlowLogs', {
      logGroupName,
      encryptionKey: key,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.vpc.addFlowLog('FlowLog', {
      destination: ec2.FlowLogDestination.toCloudWatchLogs(logGroup),
      trafficType: ec2.FlowLogTrafficType.ALL,
    });
  }
}
