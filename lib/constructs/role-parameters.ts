import { CfnParameter, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { parameters } from '../platform/names.ts';
import { acknowledge } from './acknowledge.ts';

/**
 * The two parameters of a data stack. `RegionRole` says what the stack builds; `DbPromotion` says who promotes, and it
 * must be exactly one of the two: the RDS API refuses to promote what is no replica any more.
 */
export class RoleParameters extends Construct {
  readonly regionRole: CfnParameter;
  readonly dbPromotion: CfnParameter;

  /** @param props.replica false for the origin, which was never a replica and, since RDS cannot demote, never becomes one */
  constructor(scope: Construct, id: string, props: { readonly replica: boolean }) {
    super(scope, id);
    this.regionRole = new CfnParameter(this, parameters.regionRole, {
      type: 'String',
      default: props.replica ? 'standby' : 'primary',
      allowedValues: props.replica ? ['standby', 'primary'] : ['primary'],
      description: props.replica
        ? 'primary promotes this replica. There is no way back: RDS cannot demote'
        : 'This database is the origin. RDS cannot demote it',
    });
    this.regionRole.overrideLogicalId(parameters.regionRole);
    this.dbPromotion = new CfnParameter(this, parameters.dbPromotion, {
      type: 'String',
      default: 'stack',
      allowedValues: ['stack', 'external'],
      description: 'stack: this stack update promotes. external: the RDS API has promoted already',
    });
    this.dbPromotion.overrideLogicalId(parameters.dbPromotion);
    if (!props.replica) {
      acknowledge(
        Stack.of(this),
        'CloudFormation-Validate::W2001',
        'The origin takes the same parameters as a replica, so that people and runbooks treat all data stacks alike.',
      );
    }
  }
}
