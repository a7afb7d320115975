import { CfnResource, RemovalPolicy } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { versions } from '../platform/versions.ts';
import { acknowledge } from './acknowledge.ts';
import { CustomerKey } from './customer-key.ts';

export interface AutoModeClusterProps {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  /** Roles that administer the cluster. */
  readonly adminRoleArns: readonly string[];
  /** Ranges that reach the API from outside; none keeps it inside the VPC. */
  readonly publicApiCidrs: readonly string[];
}

/**
 * An EKS cluster in Auto Mode: AWS places, sizes and replaces the nodes in every zone. CDK applies no manifests to it,
 * so the stack needs no Lambda that reaches into the cluster, and a cluster can be rebuilt without CDK.
 */
export class AutoModeCluster extends Construct {
  readonly cluster: eks.Cluster;

  constructor(scope: Construct, id: string, props: AutoModeClusterProps) {
    super(scope, id);
    const key = new CustomerKey(this, 'SecretsKey', {
      alias: `${props.name}/kubernetes-secrets`,
      description: 'Kubernetes secrets in etcd',
    });
    // EKS would create the group itself, without an end to its logs.
    const logGroup = new logs.LogGroup(this, 'ControlPlaneLogs', {
      logGroupName: `/aws/eks/${props.name}/cluster`,
      retention: logs.RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.cluster = new eks.Cluster(this, 'Cluster', {
      clusterName: props.name,
      version: eks.KubernetesVersion.of(versions.kubernetes),
      vpc: props.vpc,
      vpcSubnets: [{ subnetType: SubnetType.PRIVATE_WITH_EGRESS }],
      defaultCapacityType: eks.DefaultCapacityType.AUTOMODE,
      endpointAccess:
        props.publicApiCidrs.length === 0
          ? eks.EndpointAccess.PRIVATE
          : eks.EndpointAccess.PUBLIC_AND_PRIVATE.onlyFrom(...props.publicApiCidrs),
      secretsEncryptionKey: key,
      clusterLogging: Object.values(eks.ClusterLoggingTypes),
      // The creator is CloudFormation's role; who deploys stacks is not thereby an administrator of the cluster.
      bootstrapClusterCreatorAdminPermissions: false,
    });
    this.protect(logGroup);
    for (const [index, arn] of props.adminRoleArns.entries()) this.cluster.grantClusterAdmin(`Admin${index + 1}`, arn);
    this.addMetricsServer();
    this.acknowledgeFindings();
  }

  /** Two properties that the construct library does not know yet. */
  private protect(logGroup: logs.LogGroup): void {
    const resource = this.cluster.node.defaultChild;
    if (resource === undefined || !CfnResource.isCfnResource(resource))
      throw new Error('the construct library hides the EKS cluster’s resource');
    resource.node.addDependency(logGroup);
    // Lets AWS (or an operator) take an impaired zone out: nodes are cordoned, endpoints there removed.
    resource.addPropertyOverride('ZonalShiftConfig', { Enabled: true });
    resource.addPropertyOverride('DeletionProtection', true);
  }

  /** The autoscaler of the gateway reads CPU from it; Auto Mode does not bring it along. */
  private addMetricsServer(): void {
    new eks.Addon(this, 'MetricsServer', { cluster: this.cluster, addonName: 'metrics-server' });
  }

  private acknowledgeFindings(): void {
    acknowledge(
      this.cluster,
      'CloudFormation-Validate::W9009',
      'The construct library still names the encrypted resources; AWS encrypts the same ones either way.',
    );
    for (const policy of autoModePolicies) {
      acknowledge(
        this.cluster,
        `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`,
        'EKS Auto Mode requires this AWS managed policy, and AWS widens it when Auto Mode needs more.',
      );
    }
  }
}

const autoModePolicies = [
  'AmazonEKSClusterPolicy',
  'AmazonEKSComputePolicy',
  'AmazonEKSBlockStoragePolicy',
  'AmazonEKSLoadBalancingPolicy',
  'AmazonEKSNetworkingPolicy',
  'AmazonEKSWorkerNodePolicy',
  'AmazonEC2ContainerRegistryReadOnly',
] as const;
