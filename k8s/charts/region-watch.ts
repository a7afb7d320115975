import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayImage, kubernetes, ports } from '../../lib/platform/names.ts';
import { identity } from '../blocks/job.ts';
import { labels, selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { serviceMonitor } from '../blocks/service-monitor.ts';
import { reachIdentity, reachKubernetes, reachTheWorld, resolveNames, serve } from '../blocks/traffic.ts';
import { httpProbe, metadataOf, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** From one look to the next: alerts wait a quarter of an hour. */
const everySeconds = 60;
const folder = '/etc/holdfast';
const description = 'platform.json';
const metricsPath = '/metrics';

/**
 * Asks again and again whether this region could take over. It stands in every region, because which one writes changes in a
 * failover and these files do not: in the region that writes it says that it looks, and no more. One pod is enough and needs no
 * leader: it changes nothing, and what it missed while it moved is not missed by alerts that wait a quarter of an hour.
 */
export function regionWatchChart(input: ChartInput): Chart {
  const { platform, region } = input;
  const image = gatewayImage(platform, region);
  const component = { platform, component: 'region-watch', image } as const;
  return newChart('region-watch', [
    identity(component),
    ...rights(component),
    ...workload({
      ...component,
      replicas: 1,
      // All that `holdfast.config.ts` says, filled in; the image has none.
      files: { [description]: `${JSON.stringify(platform, null, 2)}\n` },
      amounts: { cpu: '50m', memory: '384Mi', 'ephemeral-storage': '64Mi' },
      stopSeconds: 10,
      annotations: {
        'prometheus.io/scrape': 'true',
        'prometheus.io/path': metricsPath,
        'prometheus.io/port': String(ports.regionWatch),
      },
      container: {
        command: ['node', 'bin/holdfast.ts', 'region', 'ready', '--in-cluster', region.region],
        args: [
          `--platform=${folder}/${description}`,
          `--watch=${everySeconds}`,
          `--listen=${ports.regionWatch}`,
          '--cloudwatch',
        ],
        env: [
          { name: 'NODE_ENV', value: 'production' },
          { name: 'NODE_OPTIONS', value: '--max-old-space-size-percentage=50' },
        ],
        ports: [{ name: 'metrics', containerPort: ports.regionWatch, protocol: 'TCP' }],
        startupProbe: httpProbe('/health', 'metrics', { periodSeconds: 5, failureThreshold: 24 }),
        // Looks that no longer end.
        livenessProbe: httpProbe('/health', 'metrics', { periodSeconds: 30, timeoutSeconds: 5 }),
        // There is nothing to read before the first look.
        readinessProbe: httpProbe(metricsPath, 'metrics', { periodSeconds: 5, timeoutSeconds: 5 }),
        volumeMounts: [{ name: 'platform', mountPath: folder, readOnly: true }],
      },
      pod: {
        serviceAccountName: kubernetes.regionWatch,
        automountServiceAccountToken: true,
        volumes: [{ name: 'platform', configMap: { name: kubernetes.regionWatch } }],
      },
      ingress: [serve(platform, 'all', ports.regionWatch)],
      // The regions' own names, from outside as clients have them, AWS, and Kubernetes for what this region runs.
      egress: [...resolveNames(), ...reachTheWorld(), ...reachIdentity(platform), reachKubernetes()],
    }),
    ...(platform.cluster.addons.includes('monitoring')
      ? [
          {
            manifest: serviceMonitor({
              metadata: metadataOf(component),
              selector: selector(platform, 'region-watch'),
              port: 'metrics',
              path: metricsPath,
              region: region.region,
              // Its series name the region that they speak of.
              honorLabels: true,
            }),
          },
        ]
      : []),
  ]);
}

/** What runs in the namespace, to be read: how many pods are ready, and of which image. */
function rights({ platform, image }: Parameters<typeof identity>[0]): ChartObject[] {
  const name = kubernetes.regionWatch;
  const metadata = { name, namespace: kubernetes.namespace, labels: labels(platform, 'region-watch', image) };
  return [
    {
      manifest: k8s.KubeRole.manifest({
        metadata,
        rules: [{ apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: ['list'] }],
      }),
    },
    {
      manifest: k8s.KubeRoleBinding.manifest({
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace: kubernetes.namespace }],
      }),
    },
  ];
}
