import { standbyMetrics } from '../platform/names.ts';

/**
 * Metrics that alerts and autoscalers name and that are not the gateway's: who gives them and where that is documented.
 * A metric that stands in neither place does not exist for us, and a test refuses the alert.
 */
export interface ExporterMetric {
  readonly exporter:
    | 'prometheus'
    | 'kube-state-metrics'
    | 'postgres_exporter'
    | 'redis_exporter'
    | 'vllm'
    | 'holdfast region ready';
  /** The page or file that says so. */
  readonly source: string;
}

const kubeStateMetrics = (page: string): ExporterMetric => ({
  exporter: 'kube-state-metrics',
  source: `https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/${page}`,
});

const replication: ExporterMetric = {
  exporter: 'postgres_exporter',
  source: 'https://github.com/prometheus-community/postgres_exporter/blob/master/collector/pg_replication.go',
};

const redis: ExporterMetric = {
  exporter: 'redis_exporter',
  source: 'https://github.com/oliver006/redis_exporter/blob/master/exporter/exporter.go',
};

const vllm: ExporterMetric = { exporter: 'vllm', source: 'https://docs.vllm.ai/en/latest/usage/metrics.html' };

/** The region's own watch gives them, or whoever runs the command elsewhere. */
const readiness: ExporterMetric = { exporter: 'holdfast region ready', source: 'runbooks/region/ready.ts' };

export const exporterMetrics: Readonly<Record<string, ExporterMetric>> = {
  [standbyMetrics.ready]: readiness,
  [standbyMetrics.checkedAt]: readiness,
  up: { exporter: 'prometheus', source: 'https://prometheus.io/docs/concepts/jobs_instances/' },
  kube_deployment_status_replicas_available: kubeStateMetrics('workload/deployment-metrics.md'),
  kube_deployment_created: kubeStateMetrics('workload/deployment-metrics.md'),
  kube_deployment_spec_replicas: kubeStateMetrics('workload/deployment-metrics.md'),
  kube_statefulset_status_replicas_available: kubeStateMetrics('workload/statefulset-metrics.md'),
  kube_statefulset_replicas: kubeStateMetrics('workload/statefulset-metrics.md'),
  kube_pod_info: kubeStateMetrics('workload/pod-metrics.md'),
  kube_pod_status_ready: kubeStateMetrics('workload/pod-metrics.md'),
  kube_node_labels: kubeStateMetrics('cluster/node-metrics.md'),
  kube_cronjob_created: kubeStateMetrics('workload/cronjob-metrics.md'),
  kube_cronjob_status_last_successful_time: kubeStateMetrics('workload/cronjob-metrics.md'),
  kube_horizontalpodautoscaler_status_current_replicas: kubeStateMetrics('workload/horizontalpodautoscaler-metrics.md'),
  kube_horizontalpodautoscaler_spec_max_replicas: kubeStateMetrics('workload/horizontalpodautoscaler-metrics.md'),
  pg_up: {
    exporter: 'postgres_exporter',
    source:
      'https://github.com/prometheus-community/postgres_exporter/blob/master/cmd/postgres_exporter/postgres_exporter.go',
  },
  redis_up: redis,
  redis_connected_slaves: redis,
  redis_master_link_up: redis,
  pg_replication_lag_seconds: replication,
  pg_replication_is_replica: replication,
  pg_replication_last_replay_seconds: replication,
  'vllm:num_requests_waiting': vllm,
  'vllm:kv_cache_usage_perc': vllm,
};
