import * as eks from 'aws-cdk-lib/aws-eks';
import type { Construct } from 'constructs';
import { kubernetes } from '../platform/names.ts';

/** Lets the role of AWS FIS into the cluster, under the name that the manifests give rights to. */
export class DrillAccess extends eks.CfnAccessEntry {
  constructor(scope: Construct, id: string, props: { readonly clusterName: string; readonly roleArn: string }) {
    super(scope, id, {
      clusterName: props.clusterName,
      principalArn: props.roleArn,
      type: 'STANDARD',
      username: kubernetes.faultInjectionUser,
    });
  }
}
