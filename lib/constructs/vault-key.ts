import { CfnCondition, CfnParameter, Fn, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { parameters } from '../platform/names.ts';

/** The parameter's value while the primary region's key does not exist. */
const notYet = 'none';

/**
 * The key that unseals Vault. A snapshot of Vault opens only with the key that sealed it, so the regions hold copies of
 * one key: a standby can restore the snapshot when the region that took it is gone.
 */
export class VaultKey extends Construct {
  /** @param props.alias with `alias/`, the same in every region */
  constructor(
    scope: Construct,
    id: string,
    props: { readonly alias: string; readonly origin: boolean; readonly account: string },
  ) {
    super(scope, id);
    if (props.origin) {
      new kms.Key(this, 'Key', {
        alias: props.alias,
        description: 'Unseals Vault; copied to the other regions',
        multiRegion: true,
        enableKeyRotation: true,
        removalPolicy: RemovalPolicy.RETAIN,
      });
      return;
    }
    const original = new CfnParameter(this, parameters.vaultKeyArn, {
      type: 'String',
      default: notYet,
      description: 'ARN of the key that unseals Vault in the primary region; none while it does not stand',
    });
    original.overrideLogicalId(parameters.vaultKeyArn);
    const given = new CfnCondition(this, 'Given', {
      expression: Fn.conditionNot(Fn.conditionEquals(original.valueAsString, notYet)),
    });
    const copy = new kms.CfnReplicaKey(this, 'Copy', {
      primaryKeyArn: original.valueAsString,
      description: 'Unseals Vault; a copy of the primary region’s key',
      pendingWindowInDays: 30,
      keyPolicy: new iam.PolicyDocument({
        statements: [
          new iam.PolicyStatement({
            principals: [new iam.AccountPrincipal(props.account)],
            actions: ['kms:*'],
            resources: ['*'],
          }),
        ],
      }),
    });
    copy.applyRemovalPolicy(RemovalPolicy.RETAIN);
    copy.cfnOptions.condition = given;
    const alias = new kms.CfnAlias(this, 'Alias', { aliasName: props.alias, targetKeyId: copy.attrKeyId });
    alias.cfnOptions.condition = given;
  }
}
