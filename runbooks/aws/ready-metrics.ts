/** Readiness as a metric in CloudWatch, in the standby's own region: its alarm rings there while the writer's is gone. */
import { PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { readinessMetric } from '../../lib/platform/names.ts';
import type { RegionReadiness } from '../region/ready.ts';
import type { AwsClients } from './clients.ts';

/** @throws when a region does not take it; the others have theirs. */
export async function putReadiness(
  clients: AwsClients,
  results: readonly RegionReadiness[],
  abortSignal: AbortSignal,
): Promise<void> {
  const puts = await Promise.allSettled(
    results.map(({ region, checks }) =>
      clients.cloudWatch(region).send(
        new PutMetricDataCommand({
          Namespace: readinessMetric.namespace,
          MetricData: [
            {
              MetricName: readinessMetric.name,
              Dimensions: [{ Name: 'Region', Value: region }],
              Value: checks.every(({ is }) => is === 'ok') ? 1 : 0,
              Unit: 'None',
            },
          ],
        }),
        { abortSignal },
      ),
    ),
  );
  const faults = puts.flatMap((put, index) =>
    put.status === 'rejected' ? [`${results[index]?.region ?? ''}: ${String(put.reason)}`] : [],
  );
  if (faults.length > 0) throw new Error(`CloudWatch does not take the readiness of ${faults.join('; ')}`);
}
