import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { DrillAccess } from '../constructs/drill-access.ts';
import { type Experiment, FaultExperiments, subnetsOf } from '../constructs/fault-experiments.ts';
import { RegionSwitchAccess } from '../constructs/region-switch-access.ts';
import { ZonalAutoshift } from '../constructs/zonal-autoshift.ts';
import { takesWrites } from '../platform/lineage.ts';
import {
  alarmArn,
  cacheName,
  clusterArn,
  databaseArn,
  eksClusterName,
  kubernetes,
  prefix,
  regionSwitchRoleName,
  tagKeys,
} from '../platform/names.ts';
import type { Region } from '../platform/platform.ts';
import type { IngressStack } from './ingress.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface ResilienceStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
  readonly ingress: IngressStack;
}

/** How long a fault lasts that does not end by itself: longer than detection and recovery, shorter than a coffee. */
const faultDuration = 'PT10M';

/**
 * Faults to be made on purpose, and AWS's own reaction to an impaired zone. Actions, their targets and parameters are those
 * of the AWS FIS user guide (actions reference, targets; for a cut link, the template of its scenario "Cross-Region:
 * Connectivity"), read in November 2026; none of them was started yet.
 */
export class ResilienceStack extends RegionalStack {
  constructor(scope: Construct, props: ResilienceStackProps) {
    super(scope, 'resilience', props);
    const { platform, region, ingress } = props;
    const deletesPods = platform.cluster.kind === 'eks' && platform.cluster.addons.includes('drills');
    const { roleArn } = new FaultExperiments(this, 'Faults', {
      region: region.region,
      logGroupName: `/holdfast/${prefix(platform)}-${region.region}/drills`,
      stopAlarmArn: alarmArn(platform, region, 'CanaryFailing'),
      experiments: [
        ...region.availabilityZones.map((zone) => this.zoneLoss(props, zone)),
        ...platform.regions.filter((other) => other !== region).map((other) => this.linkCut(props, other)),
        ...(takesWrites(platform, region) || platform.tier.database.replicaMultiAz
          ? [this.databaseFailover(props)]
          : []),
        ...(deletesPods ? [this.podLoss(props)] : []),
      ],
    });
    const cluster = eksClusterName(platform, region.region);
    // Here and not in the cluster stack: EKS takes no entry for a role that does not exist yet.
    if (deletesPods) new DrillAccess(this, 'DrillAccess', { clusterName: cluster, roleArn });
    if (platform.regionSwitchPlan) {
      const planRole = `arn:aws:iam::${region.account}:role/${regionSwitchRoleName(platform)}`;
      new RegionSwitchAccess(this, 'RegionSwitchAccess', { clusterName: cluster, roleArn: planRole });
    }
    if (!platform.tier.zonalAutoshift) return;
    for (const [name, resourceArn] of [
      ['LoadBalancer', ingress.loadBalancerArn],
      // It does not notice that the load balancer behind it was shifted.
      ['Entrance', ingress.entranceArn],
      ['Cluster', clusterArn(platform, region)],
    ] as const) {
      new ZonalAutoshift(this, `Autoshift${name}`, {
        resourceArn,
        outcomeAlarmArn: alarmArn(platform, region, 'CanaryFailing'),
        blockingAlarmArn: alarmArn(platform, region, 'InsufficientReplicas'),
      });
    }
  }

  /** No packet in or out of a zone, as when its power goes; the cache's nodes there lose theirs in earnest. */
  private zoneLoss({ platform, region, vpc }: ResilienceStackProps, zone: string): Experiment {
    const arn = (id: string): string => `arn:aws:ec2:${region.region}:${region.account}:subnet/${id}`;
    const cache = `arn:aws:elasticache:${region.region}:${region.account}:replicationgroup:${cacheName(platform)}`;
    return {
      name: `zone-loss-${zone}`,
      description: `${zone} loses its power: its subnets are cut off, its cache nodes stop`,
      targets: {
        subnets: { resourceType: 'aws:ec2:subnet', resourceArns: subnetsOf(vpc, zone).map(arn), selectionMode: 'ALL' },
        cache: {
          resourceType: 'aws:elasticache:replicationgroup',
          resourceArns: [cache],
          selectionMode: 'ALL',
          parameters: { availabilityZoneIdentifier: zone },
        },
      },
      actions: {
        'cut-off': {
          actionId: 'aws:network:disrupt-connectivity',
          parameters: { scope: 'all', duration: faultDuration },
          targets: { Subnets: 'subnets' },
        },
        'cache-power': {
          actionId: 'aws:elasticache:replicationgroup-interrupt-az-power',
          parameters: { duration: faultDuration },
          targets: { ReplicationGroups: 'cache' },
        },
      },
    };
  }

  /**
   * Regions are alive and do not reach each other: nobody may promote, writes go on or stop by the claim. AWS writes a route
   * for every range of the other region, which takes the quota of 250 routes in a table, and 350 towards us-east-1; objects
   * that are on their way may still be copied for an hour.
   */
  private linkCut({ platform, region, vpc }: ResilienceStackProps, other: Region): Experiment {
    const arn = (id: string): string => `arn:aws:ec2:${region.region}:${region.account}:subnet/${id}`;
    const ours = { [tagKeys.platform]: platform.name, [tagKeys.environment]: platform.environment };
    return {
      name: `link-cut-${other.region}`,
      description: `${region.region} does not reach ${other.region}: no network, no private way, no replication of objects`,
      targets: {
        subnets: {
          resourceType: 'aws:ec2:subnet',
          resourceArns: region.availabilityZones.flatMap((zone) => subnetsOf(vpc, zone)).map(arn),
          selectionMode: 'ALL',
        },
        // Its addresses lie inside the network, where no route leads to the other region.
        'private-ways': {
          resourceType: 'aws:ec2:vpc-endpoint',
          resourceTags: { ...ours, [tagKeys.leadsTo]: other.region },
          selectionMode: 'ALL',
        },
        // FIS finds buckets by tags alone.
        buckets: {
          resourceType: 'aws:s3:bucket',
          resourceTags: { ...ours, [tagKeys.replicated]: 'yes' },
          selectionMode: 'ALL',
        },
      },
      actions: {
        'cut-network': {
          actionId: 'aws:network:route-table-disrupt-cross-region-connectivity',
          parameters: { region: other.region, duration: faultDuration },
          targets: { Subnets: 'subnets' },
        },
        'cut-private-ways': {
          actionId: 'aws:network:disrupt-vpc-endpoint',
          parameters: { duration: faultDuration },
          targets: { VPCEndpoints: 'private-ways' },
        },
        'pause-replication': {
          actionId: 'aws:s3:bucket-pause-replication',
          parameters: { region: other.region, duration: faultDuration },
          targets: { Buckets: 'buckets' },
        },
      },
    };
  }

  private databaseFailover({ platform, region }: ResilienceStackProps): Experiment {
    return {
      name: 'database-failover',
      description: 'The database fails over to its other zone; gateways serve on and reconnect',
      targets: {
        database: {
          resourceType: 'aws:rds:db',
          resourceArns: [databaseArn(platform, region)],
          selectionMode: 'ALL',
        },
      },
      actions: {
        failover: {
          actionId: 'aws:rds:reboot-db-instances',
          parameters: { forceFailover: 'true' },
          targets: { DBInstances: 'database' },
        },
      },
    };
  }

  /** Half of the gateways vanish at once, without a notice. */
  private podLoss({ platform, region }: ResilienceStackProps): Experiment {
    return {
      name: 'gateway-pods-deleted',
      description: 'Half of the gateway pods are deleted',
      targets: {
        gateways: {
          resourceType: 'aws:eks:pod',
          selectionMode: 'PERCENT(50)',
          parameters: {
            clusterIdentifier: clusterArn(platform, region),
            namespace: kubernetes.namespace,
            selectorType: 'labelSelector',
            selectorValue: `app.kubernetes.io/component=${kubernetes.gateway}`,
          },
        },
      },
      actions: {
        delete: {
          actionId: 'aws:eks:pod-delete',
          parameters: {
            kubernetesServiceAccount: kubernetes.faultInjection,
            gracePeriodSeconds: '0',
            // The namespace refuses the pod that FIS starts otherwise.
            fisPodSecurityPolicy: 'restricted',
          },
          targets: { Pods: 'gateways' },
        },
      },
    };
  }
}
