import type { ApiObjectProps, Chart } from 'cdk8s';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { type Component, labels, selector } from '../blocks/labels.ts';
import { cloudSqlPort, privateRanges } from '../blocks/traffic.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** What a gateway's providers are called in the network. */
const providers = ['api.openai.com', 'api.anthropic.com', 'generativelanguage.googleapis.com'];

/**
 * Experiments for Chaos Mesh, each bounded in time. In `drills/`: applying one starts it. Watch the alerts and the error
 * rate; what must happen stands beside each.
 */
export function chaosChart(input: ChartInput): Chart {
  return newChart(
    'chaos',
    [podFailure(input), ...databasePartitions(input), providerLatency(input)].map((manifest) => ({ manifest })),
  );
}

const selectorOf = (platform: Platform, component: Component) => ({
  namespaces: [kubernetes.namespace],
  labelSelectors: selector(platform, component),
});

const metadataOf = (platform: Platform, name: string) => ({
  name,
  namespace: kubernetes.namespace,
  labels: labels(platform, 'gateway'),
});

/** One gateway stops answering: clients see nothing but its own streams end. */
const podFailure = ({ platform }: ChartInput): ApiObjectProps => ({
  apiVersion: 'chaos-mesh.org/v1alpha1',
  kind: 'PodChaos',
  metadata: metadataOf(platform, 'gateway-pod-failure'),
  spec: { action: 'pod-failure', mode: 'one', duration: '30s', selector: selectorOf(platform, 'gateway') },
});

/**
 * All gateways lose PostgreSQL: known keys keep working, DatabaseConnectionFailed fires, no spend is lost. One experiment
 * for the pods before or of the database, one for a database outside of the cluster: a gateway may use both ways.
 */
function databasePartitions(input: ChartInput): ApiObjectProps[] {
  const { platform } = input;
  const pods = (['pgbouncer', 'postgres'] as const).filter((name) => platform.cluster.addons.includes(name));
  return [
    ...(pods.length === 0
      ? []
      : [
          partition(platform, 'gateway-database-partition', {
            target: { mode: 'all', selector: anyOf(platform, pods) },
          }),
        ]),
    ...(pods.includes('postgres')
      ? []
      : [partition(platform, 'gateway-database-partition-direct', { externalTargets: databasesOutside(input) })]),
  ];
}

const partition = (platform: Platform, name: string, target: Readonly<Record<string, unknown>>): ApiObjectProps => ({
  apiVersion: 'chaos-mesh.org/v1alpha1',
  kind: 'NetworkChaos',
  metadata: metadataOf(platform, name),
  spec: {
    action: 'partition',
    mode: 'all',
    duration: '2m',
    direction: 'to',
    selector: selectorOf(platform, 'gateway'),
    ...target,
  },
});

const anyOf = (platform: Platform, components: readonly Component[]) => {
  const { 'app.kubernetes.io/instance': instance = '' } = selector(platform, 'gateway');
  return {
    namespaces: [kubernetes.namespace],
    labelSelectors: { 'app.kubernetes.io/instance': instance },
    expressionSelectors: [{ key: 'app.kubernetes.io/component', operator: 'In', values: components }],
  };
};

/**
 * Ranges with the database's port (Chaos Mesh 2.2 or later). Without a port the load balancer, names and the cache, which
 * stand in the same range, would be cut off as well, and the drill would show an outage of everything.
 */
const databasesOutside = ({ platform, region }: ChartInput): string[] =>
  platform.cluster.kind === 'gke'
    ? privateRanges.map((range) => `${range}:${cloudSqlPort}`)
    : [`${region.cidr}:${ports.postgres}`];

/** Providers answer two seconds later: latency rises, nothing fails, no deployment is cooled down. */
const providerLatency = ({ platform }: ChartInput): ApiObjectProps => ({
  apiVersion: 'chaos-mesh.org/v1alpha1',
  kind: 'NetworkChaos',
  metadata: metadataOf(platform, 'gateway-provider-latency'),
  spec: {
    action: 'delay',
    mode: 'all',
    duration: '5m',
    direction: 'to',
    selector: selectorOf(platform, 'gateway'),
    externalTargets: providers,
    delay: { latency: '2s', jitter: '500ms', correlation: '50' },
  },
});
