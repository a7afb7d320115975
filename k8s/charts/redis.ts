import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import { resources, scratch } from '../blocks/container.ts';
import { disruptionBudget } from '../blocks/disruption.ts';
import { imageOf } from '../blocks/images.ts';
import { type Component, selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { placement } from '../blocks/placement.ts';
import { redisScript, sentinelScript } from '../blocks/redis-scripts.ts';
import { containerSecurity, isolated, podSecurity } from '../blocks/security.ts';
import { endpointSeconds, preStopPause } from '../blocks/shutdown.ts';
import { reach, resolveNames, serve } from '../blocks/traffic.ts';
import { claim } from '../blocks/volume.ts';
import { metadataOf, networkPolicy, tcpProbe } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const replicas = 3;

/**
 * Redis without AWS: three servers, one over the others, and three Sentinels that agree on which. Sentinel and not Redis
 * Cluster, since a gateway's counters fit into one server many times over, and a region's cache may be lost at any time.
 */
export const redisChart = (input: ChartInput): Chart =>
  newChart('redis', [...members(input, 'redis'), ...members(input, 'redis-sentinel')]);

function members({ platform }: ChartInput, component: 'redis' | 'redis-sentinel'): ChartObject[] {
  const options = { platform, component, image: imageOf(platform, 'redis') } as const;
  const metadata = metadataOf(options);
  const pods = selector(platform, component);
  const port = component === 'redis' ? ports.valkey : ports.sentinel;
  const { addons } = platform.cluster;
  const others: Component[] = [
    ...(addons.includes('exporters') ? (['redis-exporter'] as const) : []),
    ...(addons.includes('backup') ? (['redis-backup'] as const) : []),
  ];
  return [
    {
      manifest: k8s.KubeConfigMap.manifest({
        metadata,
        data: { 'start.sh': component === 'redis' ? redisScript : sentinelScript },
      }),
    },
    networkPolicy({
      ...options,
      ingress: [serve(platform, ['gateway', 'redis', 'redis-sentinel', ...others], port)],
      egress: [
        ...resolveNames(),
        reach(platform, 'redis', ports.valkey),
        reach(platform, 'redis-sentinel', ports.sentinel),
      ],
    }),
    {
      manifest: k8s.KubeService.manifest({
        metadata,
        spec: {
          clusterIp: 'None',
          selector: pods,
          publishNotReadyAddresses: true,
          ports: [{ name: 'redis', port, targetPort: k8s.IntOrString.fromString('redis') }],
        },
      }),
    },
    {
      manifest: k8s.KubeStatefulSet.manifest({
        metadata,
        spec: {
          replicas,
          serviceName: component,
          podManagementPolicy: 'Parallel',
          minReadySeconds: 10,
          selector: { matchLabels: pods },
          template: {
            metadata: { labels: metadata.labels },
            spec: {
              ...isolated,
              ...placement(pods, 'StatefulSet'),
              terminationGracePeriodSeconds: endpointSeconds + 25,
              securityContext: podSecurity(),
              containers: [
                {
                  name: component,
                  image: imageOf(platform, 'redis'),
                  imagePullPolicy: 'IfNotPresent',
                  command: ['/bin/sh', '/script/start.sh'],
                  env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
                  envFrom: [{ secretRef: { name: kubernetes.redisSecret } }],
                  ports: [{ name: 'redis', containerPort: port, protocol: 'TCP' }],
                  startupProbe: tcpProbe('redis', { periodSeconds: 2, failureThreshold: 60 }),
                  livenessProbe: tcpProbe('redis', { periodSeconds: 10, failureThreshold: 3 }),
                  readinessProbe: tcpProbe('redis', { periodSeconds: 5, failureThreshold: 2 }),
                  resources: resources(
                    component === 'redis'
                      ? { cpu: '250m', memory: '2Gi', 'ephemeral-storage': '64Mi' }
                      : { cpu: '50m', memory: '64Mi', 'ephemeral-storage': '64Mi' },
                  ),
                  securityContext: containerSecurity(),
                  volumeMounts: [
                    { name: 'script', mountPath: '/script', readOnly: true },
                    { name: 'data', mountPath: '/data' },
                    { name: 'temporary', mountPath: '/tmp' },
                  ],
                },
              ],
              volumes: [{ name: 'script', configMap: { name: component } }, scratch('temporary', '64Mi')],
            },
          },
          volumeClaimTemplates: [
            { metadata: { name: 'data' }, spec: claim(platform, component === 'redis' ? '10Gi' : '1Gi') },
          ],
        },
      }),
      patches: [preStopPause(endpointSeconds)],
    },
    {
      manifest: k8s.KubePodDisruptionBudget.manifest({
        metadata,
        spec: disruptionBudget({ selector: pods, minAvailable: 2, replicas }),
      }),
    },
  ];
}
