import type { ApiObjectProps, Chart } from 'cdk8s';
import { kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { type Component, labels, selector } from '../blocks/labels.ts';
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
    [podFailure, databasePartition, providerLatency].map((experiment) => ({ manifest: experiment(input) })),
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

/** All gateways lose PostgreSQL: known keys keep working, DatabaseConnectionFailed fires, no spend is lost. */
const databasePartition = ({ platform, region }: ChartInput): ApiObjectProps => ({
  apiVersion: 'chaos-mesh.org/v1alpha1',
  kind: 'NetworkChaos',
  metadata: metadataOf(platform, 'gateway-database-partition'),
  spec: {
    action: 'partition',
    mode: 'all',
    duration: '2m',
    direction: 'to',
    selector: selectorOf(platform, 'gateway'),
    ...databaseTarget(platform, region.cidr),
  },
});

/** The pods before the database where there are any; else all of the VPC, which takes the cache away, too. */
function databaseTarget(platform: Platform, cidr: string): Record<string, unknown> {
  const { addons } = platform.cluster;
  const [component] = (['pgbouncer', 'postgres'] as const).filter((name) => addons.includes(name));
  if (component === undefined) return { externalTargets: [cidr] };
  return { target: { mode: 'all', selector: selectorOf(platform, component) } };
}

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
