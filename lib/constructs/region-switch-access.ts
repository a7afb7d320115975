import * as eks from 'aws-cdk-lib/aws-eks';
import type { Construct } from 'constructs';
import { kubernetes } from '../platform/names.ts';

/** Lets ARC Region switch scale the gateways, and nothing else in the cluster. */
export class RegionSwitchAccess extends eks.CfnAccessEntry {
  constructor(scope: Construct, id: string, props: { readonly clusterName: string; readonly roleArn: string }) {
    super(scope, id, {
      clusterName: props.clusterName,
      principalArn: props.roleArn,
      type: 'STANDARD',
      accessPolicies: [
        {
          policyArn: 'arn:aws:eks::aws:cluster-access-policy/AmazonARCRegionSwitchScalingPolicy',
          accessScope: { type: 'namespace', namespaces: [kubernetes.namespace] },
        },
      ],
    });
  }
}
