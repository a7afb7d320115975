import { CfnOutput, CfnParameter } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { Valkey } from '../constructs/valkey.ts';
import { cacheName, cacheSecretName, outputs, parameters, prefix } from '../platform/names.ts';
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
    const leads = platform.globalCache && region === platform.primary;
    const valkey = new Valkey(this, 'Valkey', {
      name: cacheName(platform),
      secretName: cacheSecretName(platform),
      keyAlias: cacheSecretName(platform),
      vpc,
      nodeType: region.cacheNodeType,
      tier: platform.tier,
      ...(leads && { passwordCopies: platform.standbys.map((standby) => standby.region) }),
      ...(platform.globalCache && !leads && { follows: this.globalCacheId() }),
    });
    if (leads) {
      new CfnOutput(this, outputs.globalCacheId, { value: valkey.lead(region.region, prefix(platform)) });
    }
    this.securityGroup = valkey.securityGroup;
    this.key = valkey.key;
    new CfnOutput(this, outputs.cacheEndpoint, { value: valkey.group.attrPrimaryEndPointAddress });
    new CfnOutput(this, outputs.cacheReaderEndpoint, { value: valkey.group.attrReaderEndPointAddress });
  }

  /** No default: a cache that was made without it could never join. */
  private globalCacheId(): string {
    const parameter = new CfnParameter(this, parameters.globalCacheId, {
      type: 'String',
      description: 'Id of the Global Datastore, see the outputs of the primary region’s cache stack',
    });
    return parameter.valueAsString;
  }
}
