import { CfnOutput, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { deliveryStackName, outputs, prefix } from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import type { DeliverySpec } from '../platform/spec.ts';
import { stackSettings } from './stack-settings.ts';

/** CDK's own qualifier, where the accounts were bootstrapped without one. */
const ownQualifier = 'hnb659fds';

/**
 * The role that CI deploys with. CI proves who it is by a token of its own for each run (OIDC), so there is no key to
 * keep; and the role may do nothing but become the roles that `cdk bootstrap` made in each region.
 */
export class DeliveryStack extends Stack {
  constructor(scope: Construct, platform: Platform, delivery: DeliverySpec) {
    const place = { region: platform.dnsRegion, account: platform.account };
    super(scope, deliveryStackName(platform), stackSettings(platform, place, 'role that CI deploys with'));
    const issuer = delivery.issuer ?? 'token.actions.githubusercontent.com';
    const providerArn =
      delivery.providerArn ??
      new iam.OidcProviderNative(this, 'Issuer', { url: `https://${issuer}`, clientIds: ['sts.amazonaws.com'] })
        .oidcProviderArn;
    const role = new iam.Role(this, 'Role', {
      roleName: `${prefix(platform)}-delivery`,
      description: `CI of ${platform.name}, ${platform.environment}`,
      assumedBy: new iam.FederatedPrincipal(
        providerArn,
        {
          StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com' },
          StringLike: { [`${issuer}:sub`]: [...delivery.subjects] },
        },
        'sts:AssumeRoleWithWebIdentity',
      ),
    });
    const qualifier = platform.bootstrapQualifier ?? ownQualifier;
    const places = [...platform.regions, ...platform.satellites, place];
    const roles = [...new Set(places.map(({ region, account }) => `${account}-${region}`))].flatMap((suffix) =>
      ['deploy', 'file-publishing', 'lookup'].map(
        (kind) => `arn:aws:iam::${suffix.slice(0, 12)}:role/cdk-${qualifier}-${kind}-role-${suffix}`,
      ),
    );
    role.addToPolicy(new iam.PolicyStatement({ actions: ['sts:AssumeRole'], resources: roles }));
    if (delivery.subjects.some((subject) => subject.includes('*'))) {
      acknowledge(role, 'AwsSolutions-IAM5[Resource::*]', 'Which runs of CI may deploy is narrowed by the subject.');
    }
    new CfnOutput(this, outputs.deliveryRoleArn, { value: role.roleArn });
  }
}
