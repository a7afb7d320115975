/** Alarms of the platform that ring now, in all of its regions. */
import { DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { prefix } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { messageOf } from '../engine/look.ts';
import type { AwsClients } from './clients.ts';

const patienceMs = 10_000;

/** By name; a region that does not answer is named like an alarm: nobody knows what rings there. */
export async function ringingAlarms(clients: AwsClients, platform: Platform, signal: AbortSignal): Promise<string[]> {
  const found = await Promise.all(
    platform.regions.map(async ({ region }) => {
      try {
        return await ringingIn(clients, region, `${prefix(platform)}-`, signal);
      } catch (error) {
        signal.throwIfAborted();
        return [`CloudWatch in ${region} does not say which (${messageOf(error)})`];
      }
    }),
  );
  return found.flat();
}

async function ringingIn(
  clients: AwsClients,
  region: string,
  AlarmNamePrefix: string,
  signal: AbortSignal,
): Promise<string[]> {
  const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const names: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await clients.cloudWatch(region).send(
      new DescribeAlarmsCommand({
        AlarmNamePrefix,
        StateValue: 'ALARM',
        AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
        MaxRecords: 100,
        ...(NextToken === undefined ? {} : { NextToken }),
      }),
      { abortSignal },
    );
    for (const { AlarmName } of [...(page.MetricAlarms ?? []), ...(page.CompositeAlarms ?? [])]) {
      if (AlarmName !== undefined) names.push(AlarmName);
    }
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return names;
}
