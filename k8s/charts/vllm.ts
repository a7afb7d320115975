import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import { scratch } from '../blocks/container.ts';
import { gpuNodes } from '../blocks/gpu-nodes.ts';
import { imageOf } from '../blocks/images.ts';
import { selector } from '../blocks/labels.ts';
import { prometheusTrigger, scaledObject } from '../blocks/scaling.ts';
import { serviceMonitor } from '../blocks/service-monitor.ts';
import { reachTheWorld, resolveNames, serve } from '../blocks/traffic.ts';
import { claim } from '../blocks/volume.ts';
import { httpProbe, metadataOf, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const cache = '/cache';
const port = 'http';

/**
 * A model of our own on GPUs: one deployment more for the gateway (`api_base: http://vllm:8000/v1`). KEDA is needed here
 * whatever scales the gateway: a GPU's CPU says nothing, its queue and its KV cache do.
 */
export function vllmChart({ platform, region }: ChartInput): Chart {
  const component = { platform, component: 'vllm', image: imageOf(platform, 'vllm') } as const;
  const replicas = 2;
  const maxReplicas = 8;
  const { prometheusUrl, vllmModel } = platform.cluster;
  const series = `{namespace="${kubernetes.namespace}"}`;
  return newChart('vllm', [
    // A release has one pod more than replicas while it rolls out.
    ...(platform.cluster.kind === 'eks' ? [{ manifest: gpuNodes(metadataOf(component).labels, maxReplicas + 1) }] : []),
    ...workload({
      ...component,
      replicas,
      scaled: true,
      amounts: { cpu: '4', memory: '24Gi', 'ephemeral-storage': '8Gi' },
      devices: { 'nvidia.com/gpu': '1' },
      // Longer than a first start may take.
      progressSeconds: 2400,
      // Running generations end by themselves; a new pod takes minutes to load, so they are worth waiting for.
      stopSeconds: 300,
      container: {
        args: ['--model', vllmModel, '--port', String(ports.vllm), '--download-dir', cache],
        ports: [{ name: port, containerPort: ports.vllm, protocol: 'TCP' }],
        // VLLM_API_KEY, without which nobody is served, and HF_TOKEN for models that ask for one.
        envFrom: [{ secretRef: { name: kubernetes.vllmSecret } }],
        env: ['HOME', 'HF_HOME', 'VLLM_CACHE_ROOT', 'TRITON_CACHE_DIR', 'TORCHINDUCTOR_CACHE_DIR', 'XDG_CACHE_HOME']
          .map((name) => ({ name, value: cache }))
          // The image knows no user of that number, and PyTorch asks for its name.
          .concat({ name: 'USER', value: 'vllm' }),
        // The first start downloads the model: up to half an hour. Until then the other two wait.
        startupProbe: httpProbe('/health', port, { periodSeconds: 10, failureThreshold: 180 }),
        readinessProbe: httpProbe('/health', port, { periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 }),
        livenessProbe: httpProbe('/health', port, { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 }),
        volumeMounts: [
          { name: 'cache', mountPath: cache },
          { name: 'shared-memory', mountPath: '/dev/shm' },
          { name: 'temporary', mountPath: '/tmp' },
        ],
      },
      pod: {
        tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
        volumes: [
          // Weights may be lost: a volume of the pod's own, which goes with it. It spares the node's disk.
          { name: 'cache', ephemeral: { volumeClaimTemplate: { spec: claim(platform, '200Gi') } } },
          { name: 'shared-memory', emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString('8Gi') } },
          scratch('temporary', '4Gi'),
        ],
      },
      ingress: [serve(platform, 'all', ports.vllm)],
      egress: [...resolveNames(), ...reachTheWorld()],
    }),
    {
      manifest: scaledObject(
        { kind: 'Deployment', target: kubernetes.vllm, minReplicas: replicas, maxReplicas },
        [
          prometheusTrigger(prometheusUrl, 5, `sum(vllm:num_requests_waiting${series})`),
          // A cache that is full preempts running requests; the sum is divided by the pods again.
          prometheusTrigger(prometheusUrl, 0.8, `sum(vllm:kv_cache_usage_perc${series})`),
        ],
        metadataOf(component),
      ),
    },
    ...(platform.cluster.addons.includes('monitoring')
      ? [
          {
            manifest: serviceMonitor({
              metadata: metadataOf(component),
              selector: selector(platform, 'vllm'),
              port,
              path: '/metrics',
              region: region.region,
            }),
          },
        ]
      : []),
  ]);
}
