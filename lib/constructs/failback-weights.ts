import { CfnMapping, CfnParameter, Fn, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { parameters } from '../platform/names.ts';
import { failbackPercents } from '../platform/traffic.ts';

/**
 * How much of the traffic the primary gets while another region takes over: none, until a failback gives it back step by
 * step. One parameter sets both weights, so that they cannot contradict each other.
 */
export class FailbackWeights extends Construct {
  /** Tokens. */
  readonly primary: number;
  readonly others: number;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const parameter = new CfnParameter(this, parameters.failbackPercent, {
      type: 'String',
      default: '0',
      allowedValues: failbackPercents.map(String),
      description: 'Percent of the traffic that the primary gets back while another region takes over',
    });
    parameter.overrideLogicalId(parameters.failbackPercent);
    const mapping = Object.fromEntries(
      failbackPercents.map((percent) => [String(percent), { primary: percent, others: 100 - percent }]),
    );
    const weights = new CfnMapping(this, 'Weights', { mapping });
    weights.overrideLogicalId('FailbackWeights');
    const weight = (of: 'primary' | 'others'): number =>
      Token.asNumber(Fn.findInMap(weights.logicalId, parameter.valueAsString, of));
    this.primary = weight('primary');
    this.others = weight('others');
  }
}
