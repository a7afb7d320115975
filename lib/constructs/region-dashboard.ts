import { Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { AwsAlarm } from '../alerts/aws-alarm.ts';

export interface RegionDashboardProps {
  readonly name: string;
  readonly region: string;
  readonly alarms: readonly AwsAlarm[];
  /** ARNs of the alarms, in their order. */
  readonly alarmArns: readonly string[];
}

/** One graph for each alarm with its threshold, below the state of all: what an alarm saw is where it is looked for. */
export class RegionDashboard extends Construct {
  constructor(scope: Construct, id: string, props: RegionDashboardProps) {
    super(scope, id);
    const states = {
      type: 'alarm',
      x: 0,
      y: 0,
      width: 24,
      height: 4,
      properties: { title: `${props.name}: alarms`, alarms: props.alarmArns },
    };
    const widgets = [states, ...props.alarms.map((alarm, index) => graph(props, alarm, index))];
    new cloudwatch.CfnDashboard(this, 'Dashboard', {
      dashboardName: props.name,
      dashboardBody: Stack.of(this).toJsonString({ widgets }),
    });
  }
}

function graph({ region }: RegionDashboardProps, alarm: AwsAlarm, index: number): object {
  const hidden = alarm.expression !== undefined;
  const metrics = alarm.metrics.map(({ namespace, name, dimensions, statistic }, place) => [
    namespace,
    name,
    ...Object.entries(dimensions).flat(),
    { id: `m${place + 1}`, stat: statistic, visible: !hidden },
  ]);
  return {
    type: 'metric',
    x: (index % 3) * 8,
    y: 4 + Math.floor(index / 3) * 6,
    width: 8,
    height: 6,
    properties: {
      title: alarm.name,
      region,
      period: alarm.periodSeconds,
      metrics: hidden ? [[{ expression: alarm.expression, id: 'value', label: alarm.name }], ...metrics] : metrics,
      annotations: { horizontal: [{ value: alarm.below ?? alarm.above, label: alarm.severity }] },
    },
  };
}
