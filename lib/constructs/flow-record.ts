import { Aws, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { CustomerKey } from './customer-key.ts';

/** Who talked to whom in a network, encrypted, for a month. */
export class FlowRecord extends Construct {
  constructor(scope: Construct, id: string, props: { readonly name: string; readonly vpc: ec2.IVpc }) {
    super(scope, id);
    const { name, vpc } = props;
    const key = new CustomerKey(this, 'Key', { alias: `${name}/flow-logs`, description: `Flow logs of ${name}` });
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
    const logGroup = new logs.LogGroup(this, 'Log', {
      logGroupName,
      encryptionKey: key,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    new ec2.FlowLog(this, 'FlowLog', {
      resourceType: ec2.FlowLogResourceType.fromVpc(vpc),
      destination: ec2.FlowLogDestination.toCloudWatchLogs(logGroup),
      trafficType: ec2.FlowLogTrafficType.ALL,
    });
  }
}
