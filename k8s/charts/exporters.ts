import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import { imageOf } from '../blocks/images.ts';
import { labels, selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { serviceMonitor } from '../blocks/service-monitor.ts';
import { reach, reachKubernetes, reachStores, resolveNames, serve } from '../blocks/traffic.ts';
import { httpProbe, metadataOf, type WorkloadOptions, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** Whoever gives the metrics that alerts name and the gateway does not. Leave them out where a cluster has its own. */
export const exportersChart = (input: ChartInput): Chart =>
  newChart('exporters', [...kubeStateMetrics(input), ...postgresExporter(input), ...redisExporter(input)]);

const amounts = { cpu: '50m', memory: '128Mi', 'ephemeral-storage': '64Mi' } as const;

/** Two of each, so that a drained node does not blind the alerts; the expressions count each series once. */
const replicas = 2;

const metricsPort = (number: number): k8s.ContainerPort[] => [
  { name: 'metrics', containerPort: number, protocol: 'TCP' },
];

function monitored({ region }: ChartInput, options: WorkloadOptions, honorLabels = false): ChartObject[] {
  const { platform, component } = options;
  if (!platform.cluster.addons.includes('monitoring')) return workload(options);
  const manifest = serviceMonitor({
    metadata: metadataOf(options),
    selector: selector(platform, component),
    port: 'metrics',
    path: '/metrics',
    region: region.region,
    honorLabels,
  });
  return [...workload(options), { manifest }];
}

function kubeStateMetrics(input: ChartInput): ChartObject[] {
  const { platform } = input;
  const component = {
    platform,
    component: 'kube-state-metrics',
    image: imageOf(platform, 'kubeStateMetrics'),
  } as const;
  const resources = {
    deployments: 'apps',
    statefulsets: 'apps',
    pods: '',
    nodes: '',
    cronjobs: 'batch',
    horizontalpodautoscalers: 'autoscaling',
  };
  const name = `${kubernetes.namespace}-${component.component}`;
  const common = labels(platform, component.component, component.image);
  return [
    { manifest: k8s.KubeServiceAccount.manifest({ metadata: metadataOf(component) }) },
    {
      manifest: k8s.KubeClusterRole.manifest({
        metadata: { name, labels: common },
        rules: Object.entries(resources).map(([resource, group]) => ({
          apiGroups: [group],
          resources: [resource],
          verbs: ['list', 'watch'],
        })),
      }),
    },
    {
      manifest: k8s.KubeClusterRoleBinding.manifest({
        metadata: { name, labels: common },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name: component.component, namespace: kubernetes.namespace }],
      }),
    },
    ...monitored(
      input,
      {
        ...component,
        replicas,
        amounts,
        stopSeconds: 10,
        container: {
          args: [
            `--resources=${Object.keys(resources).join(',')}`,
            // Without it no node has a zone, and SingleAZDeployment could not see one.
            '--metric-labels-allowlist=nodes=[topology.kubernetes.io/zone]',
          ],
          ports: [...metricsPort(8080), { name: 'self', containerPort: 8081, protocol: 'TCP' }],
          livenessProbe: httpProbe('/livez', 'metrics', { timeoutSeconds: 5 }),
          readinessProbe: httpProbe('/readyz', 'self', { timeoutSeconds: 5 }),
        },
        // The one program here that asks Kubernetes: it may list, and nothing else.
        pod: { serviceAccountName: component.component, automountServiceAccountToken: true },
        ingress: [serve(platform, 'all', 8080, 8081)],
        egress: [...resolveNames(), reachKubernetes()],
      },
      true,
    ),
  ];
}

function postgresExporter(input: ChartInput): ChartObject[] {
  const { platform, region } = input;
  return monitored(input, {
    platform,
    component: 'postgres-exporter',
    image: imageOf(platform, 'postgresExporter'),
    replicas,
    amounts,
    stopSeconds: 10,
    container: {
      // DATA_SOURCE_NAME: straight to the region's database, as a user that may only read statistics.
      env: [secretVariable('DATA_SOURCE_NAME')],
      ports: metricsPort(9187),
      livenessProbe: httpProbe('/', 'metrics', { timeoutSeconds: 5 }),
      readinessProbe: httpProbe('/', 'metrics', { timeoutSeconds: 5 }),
    },
    ingress: [serve(platform, 'all', 9187)],
    egress: [
      ...resolveNames(),
      ...reachStores(platform, region),
      ...(platform.cluster.addons.includes('postgres') ? [reach(platform, 'postgres', 5432)] : []),
    ],
  });
}

function redisExporter(input: ChartInput): ChartObject[] {
  const { platform, region } = input;
  return monitored(input, {
    platform,
    component: 'redis-exporter',
    image: imageOf(platform, 'redisExporter'),
    replicas,
    amounts,
    stopSeconds: 10,
    container: {
      env: [secretVariable('REDIS_ADDR'), secretVariable('REDIS_PASSWORD')],
      ports: metricsPort(9121),
      livenessProbe: httpProbe('/health', 'metrics', { timeoutSeconds: 5 }),
      readinessProbe: httpProbe('/health', 'metrics', { timeoutSeconds: 5 }),
    },
    ingress: [serve(platform, 'all', 9121)],
    egress: [
      ...resolveNames(),
      ...reachStores(platform, region),
      ...(platform.cluster.addons.includes('redis') ? [reach(platform, 'redis', 6379)] : []),
    ],
  });
}

const secretVariable = (name: string): k8s.EnvVar => ({
  name,
  valueFrom: { secretKeyRef: { name: kubernetes.exporterSecret, key: name } },
});
