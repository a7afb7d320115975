import { CfnCondition, CfnParameter, Fn } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { parameters } from '../platform/names.ts';

/**
 * Whether a stack may count on other regions: AWS refuses to begin a copy into a bucket or key that does not exist. So a
 * region can be built while every other one is missing, and told afterwards that they stand.
 */
export class CopiesParameter extends Construct {
  /** Holds while copies go to other regions. */
  readonly copies: CfnCondition;

  /** @param props.initially `off` where both sides need each other, so that one of them must come first */
  constructor(scope: Construct, id: string, props: { readonly initially: 'on' | 'off' }) {
    super(scope, id);
    const parameter = new CfnParameter(this, parameters.crossRegionCopies, {
      type: 'String',
      default: props.initially,
      allowedValues: ['on', 'off'],
      description: 'on: copies go to other regions, whose storage stacks stand. off: they are missing or lost',
    });
    parameter.overrideLogicalId(parameters.crossRegionCopies);
    this.copies = new CfnCondition(this, 'Copies', { expression: Fn.conditionEquals(parameter.valueAsString, 'on') });
    this.copies.overrideLogicalId('CopiesToOtherRegions');
  }
}
