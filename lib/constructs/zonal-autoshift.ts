import { CfnZonalAutoshiftConfiguration } from 'aws-cdk-lib/aws-arczonalshift';
import type { Construct } from 'constructs';

export interface ZonalAutoshiftProps {
  readonly resourceArn: string;
  /** If it rings during a practice run, the region cannot do without that zone, and the run ends. */
  readonly outcomeAlarmArn: string;
  /** While it rings, AWS does not practise. */
  readonly blockingAlarmArn: string;
}

/**
 * AWS takes a zone that it finds impaired out by itself, and practises every week: capacity that is missing then is
 * found in peace.
 */
export class ZonalAutoshift extends CfnZonalAutoshiftConfiguration {
  constructor(scope: Construct, id: string, props: ZonalAutoshiftProps) {
    super(scope, id, {
      resourceIdentifier: props.resourceArn,
      zonalAutoshiftStatus: 'ENABLED',
      practiceRunConfiguration: {
        outcomeAlarms: [{ type: 'CLOUDWATCH', alarmIdentifier: props.outcomeAlarmArn }],
        blockingAlarms: [{ type: 'CLOUDWATCH', alarmIdentifier: props.blockingAlarmArn }],
        // Not while people are asleep everywhere, and not on Fridays.
        blockedWindows: ['Fri:00:00-Mon:08:00'],
      },
    });
  }
}
