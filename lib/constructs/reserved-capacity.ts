import { CfnCondition, CfnParameter, Fn } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { parameters } from '../platform/names.ts';
import { gatewayNode } from '../platform/nodes.ts';
import { acknowledge } from './acknowledge.ts';

export interface ReservedCapacityProps {
  readonly availabilityZones: readonly string[];
  /** Nodes in each zone until the parameter says otherwise. */
  readonly initially: number;
}

/** More is a typing error: each of them is paid for, used or not. */
const mostPerZone = 50;

/**
 * Nodes that AWS keeps for this region, in each zone: a failover finds them even while every other customer of the lost
 * region is looking for some, too. Auto Mode has no size that a parameter could set; a node of the kept type that it starts
 * takes the place of one that is kept (open matching), and the manifests ask for that type first. Raise it in peace, since
 * AWS refuses what it does not have; it starts nothing by itself and takes nothing away from what runs.
 */
export class ReservedCapacity extends Construct {
  constructor(scope: Construct, id: string, props: ReservedCapacityProps) {
    super(scope, id);
    const parameter = new CfnParameter(this, parameters.desiredCapacity, {
      type: 'Number',
      default: String(props.initially),
      minValue: 0,
      maxValue: mostPerZone,
      description: `Nodes (${gatewayNode.instanceType}) that AWS keeps for this region in each zone; paid for, used or not`,
    });
    parameter.overrideLogicalId(parameters.desiredCapacity);
    const some = new CfnCondition(this, 'Some', {
      expression: Fn.conditionNot(Fn.conditionEquals(parameter.valueAsString, '0')),
    });
    for (const zone of props.availabilityZones) {
      const reservation = new ec2.CfnCapacityReservation(this, `Nodes-${zone.slice(-1)}`, {
        availabilityZone: zone,
        instanceType: gatewayNode.instanceType,
        instancePlatform: 'Linux/UNIX',
        instanceCount: parameter.valueAsNumber,
        instanceMatchCriteria: 'open',
        endDateType: 'unlimited',
      });
      reservation.cfnOptions.condition = some;
    }
    acknowledge(
      this,
      'CloudFormation-Validate::W3010',
      'Zones come from the configuration: capacity is kept where the subnets are.',
    );
  }
}
