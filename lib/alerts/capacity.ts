/** Alerts on how many pods there are and where they stand. */
import { kubernetes } from '../platform/names.ts';
import type { Alert } from './alert.ts';
import { servingWorkloads, zoneLabel } from './scope.ts';

const namespace = `namespace="${kubernetes.namespace}"`;

/** Available pods and wanted pods, both kinds of workload under the label `workload`, each counted once. */
const byWorkload = (deploymentMetric: string, statefulSetMetric: string): string =>
  `(max by (workload) (label_replace(${deploymentMetric}{${namespace},deployment=~"${servingWorkloads}"}, "workload", "$1", "deployment", "(.+)")) or max by (workload) (label_replace(${statefulSetMetric}{${namespace},statefulset=~"${servingWorkloads}"}, "workload", "$1", "statefulset", "(.+)")))`;

const available = byWorkload('kube_deployment_status_replicas_available', 'kube_statefulset_status_replicas_available');
const wanted = byWorkload('kube_deployment_spec_replicas', 'kube_statefulset_replicas');

const readyPods = `kube_pod_info{${namespace},created_by_kind=~"ReplicaSet|StatefulSet",created_by_name=~"(${servingWorkloads})(-[a-z0-9]+)?"} and on (namespace, pod) (kube_pod_status_ready{${namespace},condition="true"} == 1)`;

export const capacityAlerts: readonly Alert[] = [
  {
    // Counts what is wanted now and not at first, since the autoscaler changes it; and StatefulSets too, which the
    // gateway is in tier critical.
    name: 'InsufficientReplicas',
    expression: `${available} < ${wanted} * 0.5`,
    forSeconds: 300,
    severity: 'critical',
    summary: '{{ $labels.workload }} has < 50% replicas available',
    firstResponse:
      '`kubectl -n holdfast get pods,events --sort-by=.lastTimestamp`. Pending: no node has room (GPU, zone, quota); look at the node pool. CrashLoopBackOff: `kubectl logs --previous`; after a release `kubectl rollout undo`. Terminating for minutes on a lost node: taint the node `node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`.',
    origin: 'High availability patterns',
  },
  {
    // As written it could never work: kube_pod_info has no label `deployment`, kube_node_labels has none called `zone`
    // (and shows the zone only if kube-state-metrics is told to), and what it counts is pods, not zones. Here: the
    // workload comes from the owner's name, only ready pods count, and then their zones are counted.
    name: 'SingleAZDeployment',
    expression: `count by (workload) (count by (workload, ${zoneLabel}) (label_replace(${readyPods}, "workload", "$1", "created_by_name", "(${servingWorkloads})(-[a-z0-9]+)?") * on (node) group_left (${zoneLabel}) max by (node, ${zoneLabel}) (kube_node_labels{${zoneLabel}!=""}))) < 2`,
    forSeconds: 600,
    severity: 'warning',
    summary: '{{ $labels.workload }} running in single AZ',
    firstResponse:
      'The loss of that zone would stop the region. `kubectl get nodes -L topology.kubernetes.io/zone`: if the other zones have no ready nodes, look at their node pools, quota and any zonal shift that nobody ended. If they have, `kubectl -n holdfast rollout restart` spreads the pods again.',
    origin: 'High availability patterns',
  },
  {
    name: 'AutoscalerAtLimit',
    expression: `max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_current_replicas{${namespace}}) >= max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_max_replicas{${namespace}})`,
    forSeconds: 900,
    severity: 'warning',
    summary: '{{ $labels.horizontalpodautoscaler }} has as many pods as it may',
    firstResponse:
      'More load would be met by nobody. Is it load (`sum(rate(litellm_proxy_total_requests_metric_total[5m]))`) or pods that are slow (CPU, a slow provider: `holdfast_upstream_attempts_total`)? To win time: `kubectl -n holdfast patch hpa NAME -p \'{"spec":{"maxReplicas":N}}\'` (with KEDA the ScaledObject), and see that the node pools may grow as far. Then raise the tier or its number.',
    origin: 'Holdfast',
  },
];
