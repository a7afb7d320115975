import type { Chart } from 'cdk8s';
import { healthPaths } from '../../gateway/contract.ts';
import { ruleGroups } from '../../lib/alerts/rules.ts';
import { kubernetes } from '../../lib/platform/names.ts';
import { labels, selector } from '../blocks/labels.ts';
import { httpPort } from '../blocks/probes.ts';
import { serviceMonitor } from '../blocks/service-monitor.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** What the Prometheus operator reads: where the gateway's metrics are, and every alert of `lib/alerts/`. */
export function monitoringChart({ platform, region }: ChartInput): Chart {
  const metadata = { name: kubernetes.gateway, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  return newChart('monitoring', [
    {
      manifest: serviceMonitor({
        metadata,
        selector: selector(platform, 'gateway'),
        port: httpPort,
        path: healthPaths.metrics,
        region: region.region,
      }),
    },
    {
      manifest: {
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'PrometheusRule',
        metadata,
        spec: { groups: ruleGroups() },
      },
    },
  ]);
}
