/** What makes the alerts on room and zones fire, and what does not. */
import { type AlertCase } from './alert-case.ts';

const deployment = (metric: string, name: string): string =>
  `kube_deployment_${metric}{namespace="holdfast",deployment="${name}"}`;

/** Pods of a workload, on nodes of the given zones. Every series twice, as from two replicas of kube-state-metrics. */
function pods(owner: string, kind: string, zones: readonly string[]): Record<string, string> {
  const series: Record<string, string> = {};
  for (const ksm of ['k1', 'k2']) {
    for (const [index, zone] of zones.entries()) {
      const pod = `namespace="holdfast",pod="${owner}-${index}",instance="${ksm}"`;
      series[`kube_pod_info{${pod},created_by_kind="${kind}",created_by_name="${owner}",node="n${index}"}`] = '1+0x20';
      series[`kube_pod_status_ready{${pod},condition="true"}`] = '1+0x20';
      series[`kube_node_labels{node="n${index}",instance="${ksm}",label_topology_kubernetes_io_zone="${zone}"}`] =
        '1+0x20';
    }
  }
  return series;
}

export const capacityCases: readonly AlertCase[] = [
  {
    alert: 'InsufficientReplicas',
    because: 'one of three, by two replicas of kube-state-metrics',
    series: {
      [`${deployment('status_replicas_available', 'gateway').slice(0, -1)},instance="k1"}`]: '1+0x20',
      [`${deployment('status_replicas_available', 'gateway').slice(0, -1)},instance="k2"}`]: '1+0x20',
      [`${deployment('spec_replicas', 'gateway').slice(0, -1)},instance="k1"}`]: '3+0x20',
      [`${deployment('spec_replicas', 'gateway').slice(0, -1)},instance="k2"}`]: '3+0x20',
      [deployment('status_replicas_available', 'agentgateway')]: '2+0x20',
      [deployment('spec_replicas', 'agentgateway')]: '3+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway has < 50% replicas available' }],
  },
  {
    alert: 'InsufficientReplicas',
    because: 'a StatefulSet counts too',
    series: {
      'kube_statefulset_status_replicas_available{namespace="holdfast",statefulset="gateway"}': '2+0x20',
      'kube_statefulset_replicas{namespace="holdfast",statefulset="gateway"}': '7+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway has < 50% replicas available' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'three pods in one zone',
    series: pods('gateway-7c9f8d', 'ReplicaSet', ['a', 'a', 'a']),
    atMinutes: 15,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway running in single AZ' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'a StatefulSet in one zone',
    series: pods('gateway', 'StatefulSet', ['a', 'a']),
    atMinutes: 15,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway running in single AZ' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'two zones are enough, and other pods do not count',
    series: {
      ...pods('gateway-7c9f8d', 'ReplicaSet', ['a', 'b', 'a']),
      ...pods('gateway-migrate-12345', 'Job', ['a']),
    },
    atMinutes: 15,
    fires: [],
  },
  {
    alert: 'AutoscalerAtLimit',
    because: 'one of two autoscalers cannot grow any more',
    series: {
      'kube_horizontalpodautoscaler_status_current_replicas{namespace="holdfast",horizontalpodautoscaler="gateway"}':
        '20+0x30',
      'kube_horizontalpodautoscaler_spec_max_replicas{namespace="holdfast",horizontalpodautoscaler="gateway"}':
        '20+0x30',
      'kube_horizontalpodautoscaler_status_current_replicas{namespace="holdfast",horizontalpodautoscaler="keda-hpa-vllm"}':
        '2+0x30',
      'kube_horizontalpodautoscaler_spec_max_replicas{namespace="holdfast",horizontalpodautoscaler="keda-hpa-vllm"}':
        '8+0x30',
    },
    atMinutes: 20,
    fires: [{ labels: { horizontalpodautoscaler: 'gateway' }, summary: 'gateway has as many pods as it may' }],
  },
];
