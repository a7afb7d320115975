import { Aws, CfnElement, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { CfnAccessEntry } from 'aws-cdk-lib/aws-eks';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct, IConstruct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { eksClusterName, manifestsStackName } from '../platform/names.ts';
import type { Region } from '../platform/platform.ts';
import type { ClusterStack } from './cluster.ts';
import type { RegionalProps } from './regional-stack.ts';
import { stackSettings } from './stack-settings.ts';

/** Charts of cdk8s, in the order in which they are applied. */
export type ChartsOf = (region: Region) => readonly { readonly name: string; readonly chart: Construct }[];

export interface ManifestsStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
  readonly cluster: ClusterStack;
  readonly charts: ReturnType<ChartsOf>;
  readonly kubectlLayerArns: Readonly<Record<string, string>>;
}

/**
 * Applies a region's manifests, where nobody else shall. It stands apart from the cluster, so that neither a cluster nor a
 * promotion ever waits for a Lambda function; and what it applied outlives it.
 */
export class ManifestsStack extends Stack {
  constructor(scope: Construct, props: ManifestsStackProps) {
    const { platform, region, vpc } = props;
    const name = manifestsStackName(platform, region.region);
    super(scope, name, stackSettings(platform, region, `manifests of ${region.region}`));
    const clusterName = eksClusterName(platform, region.region);
    const kubectl = new eks.KubectlProvider(this, 'Kubectl', {
      cluster: eks.Cluster.fromClusterAttributes(this, 'Reached', { clusterName, vpc }),
      kubectlLayer: lambda.LayerVersion.fromLayerVersionArn(this, 'Layer', props.kubectlLayerArns[region.region] ?? ''),
      // The API may answer inside the network alone.
      privateSubnets: vpc.privateSubnets,
      securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(this, 'Nodes', props.cluster.nodeSecurityGroupId)],
    });
    const cluster = eks.Cluster.fromClusterAttributes(this, 'Cluster', { clusterName, vpc, kubectlProvider: kubectl });
    if (kubectl.role === undefined) throw new Error('the construct library hides the role of kubectl');
    const entry = new CfnAccessEntry(this, 'Access', {
      clusterName,
      principalArn: kubectl.role.roleArn,
      accessPolicies: [
        {
          policyArn: `arn:${Aws.PARTITION}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`,
          accessScope: { type: 'cluster' },
        },
      ],
    });
    this.addStackDependency(props.cluster);
    let before: Construct = entry;
    for (const { name: file, chart } of props.charts) {
      const manifest = cluster.addCdk8sChart(file.replaceAll(/\W/g, '-'), chart, {
        removalPolicy: RemovalPolicy.RETAIN,
      });
      manifest.node.addDependency(before);
      before = manifest;
    }
    this.acknowledgeFindings(kubectl);
  }

  /** Findings in what the construct library makes for kubectl. */
  private acknowledgeFindings(kubectl: Construct): void {
    const handler = this.logicalIdOf(kubectl, 'Handler', 'Resource');
    const publicRegistry = this.logicalIdOf(kubectl, 'Handler', 'HasEcrPublic');
    acknowledge(
      this,
      `AwsSolutions-IAM4[Policy::{"Fn::If":["${publicRegistry}",{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":iam::aws:policy/AmazonElasticContainerRegistryPublicReadOnly"]]},{"Ref":"AWS::NoValue"}]}]`,
      'The construct library lets kubectl’s function read public charts; only it takes the role.',
    );
    acknowledge(
      this,
      `AwsSolutions-IAM5[Resource::<${handler}.Arn>:*]`,
      'The construct library calls any version of its own function.',
    );
    acknowledge(
      this,
      'AwsSolutions-L1',
      'The construct library chooses the runtime that its functions were tested with.',
    );
    for (const policy of libraryPolicies) {
      acknowledge(
        this,
        `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`,
        'The construct library gives it to the functions that run kubectl; only they take the role.',
      );
    }
  }

  private logicalIdOf(construct: Construct, ...path: readonly string[]): string {
    const found = path.reduce<IConstruct>((at, name) => at.node.findChild(name), construct);
    if (!CfnElement.isCfnElement(found)) throw new Error(`${found.node.path} is no element of a template`);
    return this.getLogicalId(found);
  }
}

const libraryPolicies = [
  'service-role/AWSLambdaBasicExecutionRole',
  'service-role/AWSLambdaVPCAccessExecutionRole',
  'AmazonEC2ContainerRegistryReadOnly',
] as const;
