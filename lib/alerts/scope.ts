import { kubernetes } from '../platform/names.ts';

/** Label matchers of the gateway's own series: Prometheus names a job after the Service that it was found through. */
export const gatewayJob = `namespace="${kubernetes.namespace}",job="${kubernetes.gateway}"`;

/** Label matchers of the exporters' series. */
export const exporterJobs = `namespace="${kubernetes.namespace}",job=~"kube-state-metrics|postgres-exporter|redis-exporter"`;

/** What the cluster runs for requests, as a regular expression over names. */
export const servingWorkloads = `${kubernetes.gateway}|${kubernetes.agentGateway}`;

/** The label in which kube-state-metrics shows a node's zone; it must be told to (its flag stands in the exporters' chart). */
export const zoneLabel = 'label_topology_kubernetes_io_zone';
