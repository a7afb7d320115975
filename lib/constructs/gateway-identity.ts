import { Aws } from 'aws-cdk-lib';
import { CfnPodIdentityAssociation } from 'aws-cdk-lib/aws-eks';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { kubernetes } from '../platform/names.ts';

export interface GatewayIdentityProps {
  readonly clusterName: string;
  readonly region: string;
  readonly account: string;
  /** Secrets that a gateway reads, by name, and the key that encrypts them. */
  readonly secretNames: readonly string[];
  readonly keys: readonly kms.IKey[];
}

/**
 * What a gateway pod may do in AWS: read its own secrets. The role is bound to the service account by EKS Pod Identity,
 * which needs no OIDC provider and therefore no IAM change when a cluster is rebuilt.
 */
export class GatewayIdentity extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, props: GatewayIdentityProps) {
    super(scope, id);
    const podIdentity = new iam.ServicePrincipal('pods.eks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': props.account } },
    });
    this.role = new iam.Role(this, 'Role', {
      description: `Gateway pods in ${props.region}`,
      assumedBy: new iam.SessionTagsPrincipal(podIdentity),
    });
    this.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
        // Secrets Manager appends a hyphen and six characters to a name; six question marks match nothing longer.
        resources: props.secretNames.map(
          (name) => `arn:${Aws.PARTITION}:secretsmanager:${props.region}:${props.account}:secret:${name}-??????`,
        ),
      }),
    );
    this.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt'],
        resources: props.keys.map((key) => key.keyArn),
        conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${props.region}.amazonaws.com` } },
      }),
    );
    new CfnPodIdentityAssociation(this, 'Association', {
      clusterName: props.clusterName,
      namespace: kubernetes.namespace,
      serviceAccount: kubernetes.gatewayServiceAccount,
      roleArn: this.role.roleArn,
    });
  }
}
