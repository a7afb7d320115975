import { CfnOutput, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { exportsMetrics } from '../alerts/exported-metrics.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { AutoModeCluster } from '../constructs/auto-mode-cluster.ts';
import { podGrants } from '../constructs/pod-grants.ts';
import { PodIdentity } from '../constructs/pod-identity.ts';
import { ReservedCapacity } from '../constructs/reserved-capacity.ts';
import { clusterName, metricLogGroup, outputs, ports } from '../platform/names.ts';
import type { OwnCluster } from '../platform/spec.ts';
import type { CacheStack } from './cache.ts';
import type { RegionDatabase } from './data.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface ClusterStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
  readonly data: RegionDatabase;
  readonly cache: CacheStack;
}

/** The region's Kubernetes, its pods' identities, and its nodes' way to the stores. */
export class ClusterStack extends RegionalStack {
  /** Group of the cluster's nodes and pods. */
  readonly nodeSecurityGroupId: string;

  constructor(scope: Construct, props: ClusterStackProps) {
    super(scope, 'cluster', props);
    const { platform, region, data, cache } = props;
    const cluster = region.cluster ?? this.ourCluster(props);
    this.nodeSecurityGroupId = cluster.securityGroupId;
    for (const [serviceAccount, grants] of Object.entries(podGrants(platform, region))) {
      new PodIdentity(this, `Identity-${serviceAccount}`, {
        clusterName: cluster.name,
        region: region.region,
        account: region.account,
        serviceAccount,
        grants,
      });
    }
    if (exportsMetrics(platform)) {
      new logs.LogGroup(this, 'ExportedMetrics', {
        logGroupName: metricLogGroup(platform, region.region),
        // CloudWatch keeps the metrics themselves; the lines are for the question which gateway it was.
        retention: logs.RetentionDays.ONE_WEEK,
        removalPolicy: RemovalPolicy.RETAIN,
      });
    }
    this.admitNodes('ToDatabase', data.securityGroupId, ports.postgres);
    this.admitNodes('ToCache', cache.securityGroup.securityGroupId, ports.valkey);
    new CfnOutput(this, outputs.clusterName, { value: cluster.name });
  }

  private ourCluster({ platform, region, vpc }: ClusterStackProps): OwnCluster {
    const { cluster } = new AutoModeCluster(this, 'Kubernetes', {
      name: clusterName(platform, region.region),
      vpc,
      adminRoleArns: platform.cluster.adminRoleArns,
      publicApiCidrs: platform.cluster.publicApiCidrs,
    });
    new ReservedCapacity(this, 'Reserved', {
      availabilityZones: region.availabilityZones,
      initially: region.reservedNodesPerZone,
    });
    if (region.network !== undefined) {
      acknowledge(
        this,
        '@aws-cdk/aws-eks:clusterMustManuallyTagSubnet',
        'Kubernetes makes no load balancers here, the ingress stack does; nobody reads these tags.',
      );
    }
    return { name: cluster.clusterName, securityGroupId: cluster.clusterSecurityGroupId };
  }

  /** The rule stands here and not in the store's stack, so that a data stack never waits for a cluster. */
  private admitNodes(id: string, groupId: string, port: number): void {
    new ec2.CfnSecurityGroupIngress(this, id, {
      groupId,
      sourceSecurityGroupId: this.nodeSecurityGroupId,
      ipProtocol: 'tcp',
      fromPort: port,
      toPort: port,
      description: 'Cluster nodes and pods',
    });
  }
}
