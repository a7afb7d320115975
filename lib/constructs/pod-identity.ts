import { CfnPodIdentityAssociation } from 'aws-cdk-lib/aws-eks';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { kubernetes } from '../platform/names.ts';
import { acknowledge } from './acknowledge.ts';

/** One thing that pods may do. */
export interface Grant {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Why the resources have a wildcard; required by the rules where they have one. */
  readonly wildcard?: string;
}

export interface PodIdentityProps {
  readonly clusterName: string;
  readonly region: string;
  readonly account: string;
  readonly serviceAccount: string;
  readonly grants: readonly Grant[];
}

/**
 * What the pods of one service account may do in AWS. The role is bound to it by EKS Pod Identity, which needs no OIDC
 * provider and therefore no IAM change when a cluster is rebuilt.
 */
export class PodIdentity extends Construct {
  constructor(scope: Construct, id: string, props: PodIdentityProps) {
    super(scope, id);
    const podIdentity = new iam.ServicePrincipal('pods.eks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': props.account } },
    });
    const role = new iam.Role(this, 'Role', {
      description: `Pods of ${props.serviceAccount} in ${props.region}`,
      assumedBy: new iam.SessionTagsPrincipal(podIdentity),
    });
    for (const { actions, resources, conditions, wildcard } of props.grants) {
      role.addToPolicy(
        new iam.PolicyStatement({
          actions: [...actions],
          resources: [...resources],
          ...(conditions && { conditions }),
        }),
      );
      if (wildcard === undefined) continue;
      for (const resource of resources.filter((each) => each.includes('*'))) {
        acknowledge(role, `AwsSolutions-IAM5[Resource::${resource}]`, wildcard);
      }
    }
    new CfnPodIdentityAssociation(this, 'Association', {
      clusterName: props.clusterName,
      namespace: kubernetes.namespace,
      serviceAccount: props.serviceAccount,
      roleArn: role.roleArn,
    });
  }
}
