import { Aws, RemovalPolicy } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as fis from 'aws-cdk-lib/aws-fis';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

type Target = fis.CfnExperimentTemplate.ExperimentTemplateTargetProperty;
type Action = fis.CfnExperimentTemplate.ExperimentTemplateActionProperty;

export interface Experiment {
  /** Shown as its name. */
  readonly name: string;
  readonly description: string;
  readonly targets: Readonly<Record<string, Target>>;
  readonly actions: Readonly<Record<string, Action>>;
}

export interface FaultExperimentsProps {
  readonly region: string;
  readonly logGroupName: string;
  /** Alarm that ends an experiment at once: clients notice. */
  readonly stopAlarmArn: string;
  readonly experiments: readonly Experiment[];
}

const policies = ['EC2Access', 'EKSAccess', 'NetworkAccess', 'RDSAccess'] as const;

/** Faults that AWS can make on purpose. A template does nothing until somebody starts it. */
export class FaultExperiments extends Construct {
  readonly roleArn: string;

  constructor(scope: Construct, id: string, props: FaultExperimentsProps) {
    super(scope, id);
    const role = this.role(props);
    this.roleArn = role.roleArn;
    const logGroup = new logs.LogGroup(this, 'Log', {
      logGroupName: props.logGroupName,
      retention: logs.RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    for (const { name, description, targets, actions } of props.experiments) {
      new fis.CfnExperimentTemplate(this, name, {
        description,
        targets,
        actions,
        roleArn: role.roleArn,
        stopConditions: [{ source: 'aws:cloudwatch:alarm', value: props.stopAlarmArn }],
        logConfiguration: {
          logSchemaVersion: 2,
          cloudWatchLogsConfiguration: { LogGroupArn: logGroup.logGroupArn },
        },
        // A drill whose target is gone tests nothing, and must not look as if it had passed.
        experimentOptions: { emptyTargetResolutionMode: 'fail' },
        tags: { Name: name },
      });
    }
  }

  private role({ region, logGroupName }: FaultExperimentsProps): iam.Role {
    const role = new iam.Role(this, 'Role', {
      description: `Drills in ${region}`,
      // Nobody else's experiments; as AWS FIS's own guide asks.
      assumedBy: new iam.ServicePrincipal('fis.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID },
          ArnLike: { 'aws:SourceArn': `arn:${Aws.PARTITION}:fis:*:${Aws.ACCOUNT_ID}:experiment/*` },
        },
      }),
      managedPolicies: policies.map((name) =>
        iam.ManagedPolicy.fromAwsManagedPolicyName(`service-role/AWSFaultInjectionSimulator${name}`),
      ),
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          's3:PauseReplication',
          's3:ListAllMyBuckets',
          'ec2:DescribeVpcEndpoints',
          'ec2:DescribeSecurityGroups',
          'ec2:ModifyVpcEndpoint',
          'ec2:CreateSecurityGroup',
          'ec2:DeleteSecurityGroup',
          'ec2:RevokeSecurityGroupEgress',
          'ec2:CreateTags',
          'vpce:AllowMultiRegion',
          'elasticache:InterruptClusterAzPower',
          'elasticache:DescribeReplicationGroups',
          'tag:GetResources',
          'logs:CreateLogDelivery',
          'logs:PutResourcePolicy',
          'logs:DescribeResourcePolicies',
          'logs:DescribeLogGroups',
        ],
        resources: ['*'],
      }),
    );
    // It may pause replication, and change nothing else of it. `IfExists` as in AWS's own scenario: a look says nothing of pauses.
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:PutReplicationConfiguration', 's3:GetReplicationConfiguration'],
        resources: ['*'],
        conditions: { BoolIfExists: { 's3:isReplicationPauseRequest': 'true' } },
      }),
    );
    acknowledge(
      role,
      'AwsSolutions-IAM5[Resource::*]',
      `Drills look targets up and deliver their log (${logGroupName}); these calls know no narrower resource. Only AWS FIS can take the role.`,
    );
    for (const name of policies) {
      acknowledge(
        role,
        `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSFaultInjectionSimulator${name}]`,
        'AWS keeps it in step with what its fault actions need; only AWS FIS can take the role.',
      );
    }
    return role;
  }
}

/** Subnets of one zone. */
export const subnetsOf = (vpc: ec2.IVpc, zone: string): string[] =>
  [...vpc.publicSubnets, ...vpc.privateSubnets, ...vpc.isolatedSubnets]
    .filter(({ availabilityZone }) => availabilityZone === zone)
    .map(({ subnetId }) => subnetId);
