/** How the collector brings the gateways' own numbers to CloudWatch, where alarms watch them without a Prometheus. */
import { gatewayPort, healthPaths } from '../../gateway/contract.ts';
import { exportedMetrics } from '../../lib/alerts/exported-metrics.ts';
import { gatewayMetricNamespace, kubernetes, metricLogGroup } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';

interface CollectorParts {
  readonly receivers: Readonly<Record<string, unknown>>;
  readonly processors: Readonly<Record<string, unknown>>;
  readonly exporters: Readonly<Record<string, unknown>>;
  readonly pipelines: Readonly<Record<string, unknown>>;
}

/**
 * Parts of the collector's configuration. Both collectors read every gateway; alarms take the maximum. Its words are those of
 * the exporter's README and of AWS's own collector configurations for EKS and ECS (metric_declarations, NoDimensionRollup).
 */
export const metricExport = (platform: Platform, { region }: Region): CollectorParts => ({
  receivers: {
    prometheus: {
      config: {
        scrape_configs: [
          {
            job_name: kubernetes.gateway,
            scrape_interval: '30s',
            metrics_path: healthPaths.metrics,
            // A Service without an address of its own: its name has one for each pod, and no right to ask Kubernetes is needed.
            dns_sd_configs: [
              {
                names: [`${kubernetes.gatewayMetrics}.${kubernetes.namespace}.svc.cluster.local`],
                type: 'A',
                port: gatewayPort,
                refresh_interval: '15s',
              },
            ],
            relabel_configs: [
              { target_label: 'region', replacement: region },
              // The exporter would take the same number of two pods for a repetition and drop one.
              { source_labels: ['__address__'], target_label: 'gateway' },
            ],
          },
        ],
      },
    },
  },
  processors: {
    'filter/exported': {
      error_mode: 'ignore',
      metrics: { metric: [exportedMetrics.map((name) => `name != "${name}"`).join(' and ')] },
    },
  },
  exporters: {
    awsemf: {
      region,
      namespace: gatewayMetricNamespace,
      log_group_name: metricLogGroup(platform, region),
      log_stream_name: kubernetes.otelCollector,
      // By region and nothing else: every further dimension would be one more metric to pay.
      dimension_rollup_option: 'NoDimensionRollup',
      metric_declarations: [{ dimensions: [['region']], metric_name_selectors: [...exportedMetrics] }],
    },
  },
  pipelines: {
    'metrics/exported': {
      receivers: ['prometheus'],
      processors: ['memory_limiter', 'filter/exported', 'batch'],
      exporters: ['awsemf'],
    },
  },
});
