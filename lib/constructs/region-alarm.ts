import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { runbookPage } from '../../runbooks/catalog.ts';
import type { AwsAlarm, AwsMetric } from '../alerts/aws-alarm.ts';

export interface RegionAlarmProps {
  readonly alarmName: string;
  readonly alarm: AwsAlarm;
  readonly topicArn: string;
  /** Begin of the address of runbooks, if there is one. */
  readonly runbookUrl: string | undefined;
}

const silence = { bad: 'breaching', good: 'notBreaching', unknown: 'missing' } as const;

/** An alarm as CloudWatch keeps it; it tells the topic when it rings and when it is over. */
export class RegionAlarm extends cloudwatch.CfnAlarm {
  constructor(scope: Construct, id: string, props: RegionAlarmProps) {
    const { alarm } = props;
    super(scope, id, {
      alarmName: props.alarmName,
      alarmDescription: describe(alarm, props.runbookUrl),
      actionsEnabled: true,
      alarmActions: [props.topicArn],
      okActions: [props.topicArn],
      comparisonOperator: alarm.below === undefined ? 'GreaterThanThreshold' : 'LessThanThreshold',
      threshold: alarm.below ?? alarm.above ?? 0,
      evaluationPeriods: alarm.periods,
      datapointsToAlarm: alarm.periods,
      treatMissingData: silence[alarm.silence],
      ...watched(alarm),
    });
  }
}

function watched({ metrics, expression, periodSeconds }: AwsAlarm): Partial<cloudwatch.CfnAlarmProps> {
  const [only] = metrics;
  if (expression === undefined && only !== undefined) {
    return {
      namespace: only.namespace,
      metricName: only.name,
      dimensions: dimensionsOf(only),
      statistic: only.statistic,
      period: periodSeconds,
    };
  }
  return {
    metrics: [
      { id: 'value', expression, returnData: true },
      ...metrics.map((metric, index) => ({
        id: `m${index + 1}`,
        returnData: false,
        metricStat: {
          metric: { namespace: metric.namespace, metricName: metric.name, dimensions: dimensionsOf(metric) },
          period: periodSeconds,
          stat: metric.statistic,
        },
      })),
    ],
  };
}

const dimensionsOf = ({ dimensions }: AwsMetric): cloudwatch.CfnAlarm.DimensionProperty[] =>
  Object.entries(dimensions).map(([name, value]) => ({ name, value }));

/** Severity, what it means, what to do, where to read on: all that a pager shows. */
export const describe = (
  { severity, summary, firstResponse, runbook, name }: AwsAlarm,
  url: string | undefined,
): string => {
  const page = runbook === undefined ? `first-response#${name}` : runbookPage(runbook);
  const link = url === undefined ? page : `${url}/${page}`;
  return `[${severity}] ${summary}. ${firstResponse} Runbook: ${link}`;
};
