import { Stack } from 'aws-cdk-lib';
import { CfnPlan } from 'aws-cdk-lib/aws-arcregionswitch';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { readingRecords } from '../constructs/records-reader.ts';
import { hasNamesElsewhere } from '../platform/accounts.ts';
import {
  accessEntriesArn,
  clusterArn,
  databaseArn,
  kubernetes,
  prefix,
  recordSetId,
  recordsReaderArn,
  regionSwitchRoleName,
  regionSwitchStackName,
} from '../platform/names.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { stackSettings } from './stack-settings.ts';

const approvalMinutes = 30;
const promotionMinutes = 30;

/**
 * AWS's own recovery plan over the same resources, for those who want AWS to carry the steps out: approve, scale, promote,
 * move traffic. It knows no claim and waits out no lease: before its promotion the runbook must have seized the claim,
 * which is what the approval asks for.
 */
export class RegionSwitchStack extends Stack {
  constructor(scope: Construct, platform: Platform) {
    const place = { region: platform.dnsRegion, account: platform.primary.account };
    super(scope, regionSwitchStackName(platform), stackSettings(platform, place, 'recovery plan of ARC Region switch'));
    const role = this.role(platform);
    new CfnPlan(this, 'Plan', {
      name: prefix(platform).slice(0, 32),
      description: 'Scale, promote, move traffic. Seize the claim by the runbook region-failover before approving',
      executionRole: role.roleArn,
      recoveryApproach: 'activePassive',
      regions: platform.regions.map(({ region }) => region),
      primaryRegion: platform.primary.region,
      recoveryTimeObjectiveMinutes: Math.round(platform.tier.rtoSeconds / 60),
      workflows: platform.regions.map((region) => ({
        workflowTargetAction: 'activate',
        workflowTargetRegion: region.region,
        workflowDescription: `${region.region} takes over`,
        steps: this.steps(platform, region, role),
      })),
    });
  }

  private steps(platform: Platform, target: Region, role: iam.Role): CfnPlan.StepProperty[] {
    const kind = platform.tier.gateway.persistentOutbox ? 'StatefulSet' : 'Deployment';
    const scaled = Object.fromEntries(
      platform.regions.map(({ region }) => [
        region,
        { name: kubernetes.gateway, namespace: kubernetes.namespace, hpaName: kubernetes.gateway },
      ]),
    );
    return [
      {
        name: 'claim-is-seized',
        description: 'A person confirms that the claim was seized and its lease waited out',
        executionBlockType: 'ManualApproval',
        executionBlockConfiguration: {
          executionApprovalConfig: { approvalRole: role.roleArn, timeoutMinutes: approvalMinutes },
        },
      },
      {
        name: 'scale',
        executionBlockType: 'EKSResourceScaling',
        executionBlockConfiguration: {
          eksResourceScalingConfig: {
            kubernetesResourceType: { apiVersion: 'apps/v1', kind },
            eksClusters: platform.regions.map((region) => ({ clusterArn: clusterArn(platform, region) })),
            scalingResources: [{ [kubernetes.namespace]: scaled }],
            targetPercent: 100,
            timeoutMinutes: promotionMinutes,
          },
        },
      },
      ...(target.databaseSource === undefined
        ? []
        : [
            {
              name: 'promote',
              executionBlockType: 'RdsPromoteReadReplica',
              executionBlockConfiguration: {
                rdsPromoteReadReplicaConfig: {
                  dbInstanceArnMap: Object.fromEntries(
                    platform.regions.map((region) => [region.region, databaseArn(platform, region)]),
                  ),
                  timeoutMinutes: promotionMinutes,
                },
              },
            },
          ]),
      {
        name: 'traffic',
        executionBlockType: 'Route53HealthCheck',
        executionBlockConfiguration: {
          route53HealthCheckConfig: {
            hostedZoneId: platform.hostedZone.id ?? '',
            ...(hasNamesElsewhere(platform, platform.primary) && { crossAccountRole: recordsReaderArn(platform) }),
            recordName: platform.domain,
            recordSets: platform.regions.map(({ region }) => ({
              region,
              recordSetIdentifier: recordSetId(platform, region),
            })),
          },
        },
      },
    ];
  }

  private role(platform: Platform): iam.Role {
    const role = new iam.Role(this, 'Role', {
      // Every region's cluster lets it in by its name.
      roleName: regionSwitchRoleName(platform),
      description: 'ARC Region switch',
      assumedBy: new iam.ServicePrincipal('arc-region-switch.amazonaws.com'),
    });
    const clusters = platform.regions.map((region) => clusterArn(platform, region));
    const databases = platform.regions.map((region) => databaseArn(platform, region));
    role.addToPolicy(new iam.PolicyStatement({ actions: ['eks:DescribeCluster'], resources: clusters }));
    const entries = platform.regions.map((region) => accessEntriesArn(platform, region));
    role.addToPolicy(new iam.PolicyStatement({ actions: ['eks:ListAssociatedAccessPolicies'], resources: entries }));
    for (const entry of entries) {
      acknowledge(role, `AwsSolutions-IAM5[Resource::${entry}]`, 'AWS ends the entry’s ARN with an id that it makes.');
    }
    role.addToPolicy(
      new iam.PolicyStatement({ actions: ['rds:PromoteReadReplica', 'rds:ModifyDBInstance'], resources: databases }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          'rds:DescribeDBInstances',
          'arc-region-switch:GetPlan',
          'arc-region-switch:ListPlanExecutions',
          'arc-region-switch:StartPlanExecution',
          'cloudwatch:DescribeAlarms',
          'cloudwatch:GetMetricData',
          'route53:GetHealthCheckStatus',
        ],
        resources: ['*'],
      }),
    );
    role.addToPolicy(
      hasNamesElsewhere(platform, platform.primary)
        ? new iam.PolicyStatement({ actions: ['sts:AssumeRole'], resources: [recordsReaderArn(platform)] })
        : readingRecords(platform.hostedZone.id ?? ''),
    );
    acknowledge(role, 'AwsSolutions-IAM5[Resource::*]', 'Calls that only look, and calls that know no resources.');
    return role;
  }
}
