/** Rights of a drill itself; what it drills needs its own book's beside them. */
import type { Platform } from '../../lib/platform/platform.ts';
import { allow, type Statement } from './rights.ts';

export const drilling = (platform: Platform): Statement[] => {
  const experiments = platform.regions.map(({ region, account }) => `arn:aws:fis:${region}:${account}:experiment/*`);
  return [
    // CloudWatch and AWS FIS know no resources for lists.
    allow(
      'SeeAlarmsAndExperiments',
      ['cloudwatch:DescribeAlarms', 'cloudwatch:GetMetricData', 'fis:ListExperiments', 'fis:ListExperimentTemplates'],
      ['*'],
    ),
    allow(
      'BreakOnPurpose',
      ['fis:StartExperiment'],
      [
        ...experiments,
        ...platform.regions.map(({ region, account }) => `arn:aws:fis:${region}:${account}:experiment-template/*`),
      ],
    ),
    allow('MarkAndStopExperiments', ['fis:TagResource', 'fis:StopExperiment'], experiments),
  ];
};
