import { CfnOutput } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { Valkey } from '../constructs/valkey.ts';
import { cacheName, cacheSecretName, outputs } from '../platform/names.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface CacheStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
}

/** The region's cache. It may vanish at any time; gateways then count for themselves. */
export class CacheStack extends RegionalStack {
  readonly securityGroup: ec2.SecurityGroup;
  readonly key: kms.Key;

  constructor(scope: Construct, props: CacheStackProps) {
    super(scope, 'cache', props);
    const { platform, region, vpc } = props;
    const valkey = new Valkey(this, 'Valkey', {
      name: cacheName(platform),
      secretName: cacheSecretName(platform),
      keyAlias: cacheSecretName(platform),
      vpc,
      nodeType: region.cacheNodeType,
      tier: platform.tier,
    });
    this.securityGroup = valkey.securityGroup;
    this.key = valkey.key;
    new CfnOutput(this, outputs.cacheEndpoint, { value: valkey.group.attrPrimaryEndPointAddress });
    new CfnOutput(this, outputs.cacheReaderEndpoint, { value: valkey.group.attrReaderEndPointAddress });
  }
}
