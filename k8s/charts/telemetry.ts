import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { stringify } from 'yaml';
import { gatewayPort } from '../../gateway/contract.ts';
import { exportsMetrics } from '../../lib/alerts/exported-metrics.ts';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { imageOf } from '../blocks/images.ts';
import { identity } from '../blocks/job.ts';
import { type Component, selector } from '../blocks/labels.ts';
import { metricExport } from '../blocks/metric-export.ts';
import type { ChartObject } from '../blocks/object.ts';
import { reach, reachIdentity, reachTheWorld, reachUrls, resolveNames, serve } from '../blocks/traffic.ts';
import { httpProbe, metadataOf, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const grpcPort = 4317;
const healthPort = 13_133;

/** Takes traces of the namespace's programs, keeps a tenth, and passes them on; when that fails it drops, and never holds them up. */
export function telemetryChart({ platform, region }: ChartInput): Chart {
  const component = { platform, component: 'otel-collector', image: imageOf(platform, 'otelCollector') } as const;
  const exports = exportsMetrics(platform);
  return newChart('telemetry', [
    ...(exports ? [identity(component), gatewaysByName(platform, metadataOf(component))] : []),
    ...workload({
      ...component,
      replicas: 2,
      files: { 'config.yaml': stringify(collector(platform, region)) },
      amounts: { cpu: '250m', memory: '512Mi', 'ephemeral-storage': '64Mi' },
      stopSeconds: 30,
      container: {
        args: ['--config=/etc/otel/config.yaml'],
        ports: [
          { name: 'otlp-grpc', containerPort: grpcPort, protocol: 'TCP' },
          { name: 'otlp-http', containerPort: ports.otlp, protocol: 'TCP' },
          { name: 'health', containerPort: healthPort, protocol: 'TCP' },
        ],
        livenessProbe: httpProbe('/', 'health'),
        readinessProbe: httpProbe('/', 'health', { periodSeconds: 5, failureThreshold: 2 }),
        volumeMounts: [{ name: 'config', mountPath: '/etc/otel', readOnly: true }],
      },
      pod: {
        ...(exports ? { serviceAccountName: kubernetes.otelCollector } : {}),
        volumes: [{ name: 'config', configMap: { name: kubernetes.otelCollector } }],
      },
      ingress: [serve(platform, ['gateway', ...tracedAddons(platform)], grpcPort, ports.otlp)],
      egress: [
        ...resolveNames(),
        ...reachTheWorld(),
        ...reachUrls([platform.cluster.otlpEndpoint]),
        ...(exports ? [reach(platform, 'gateway', gatewayPort), ...reachIdentity(platform)] : []),
      ],
    }),
  ]);
}

/** One address for each gateway; also for one that is not ready, whose spend waits all the same. */
const gatewaysByName = (platform: Platform, metadata: ReturnType<typeof metadataOf>): ChartObject => ({
  manifest: k8s.KubeService.manifest({
    metadata: { ...metadata, name: kubernetes.gatewayMetrics },
    spec: {
      clusterIp: 'None',
      publishNotReadyAddresses: true,
      selector: selector(platform, 'gateway'),
      ports: [{ name: 'http', port: gatewayPort, targetPort: k8s.IntOrString.fromNumber(gatewayPort) }],
    },
  }),
});

const tracedAddons = ({ cluster }: Platform): Component[] =>
  (['agentgateway', 'vllm'] as const).filter((addon) => cluster.addons.includes(addon));

function collector(platform: Platform, region: Region): unknown {
  const own = collectorOf(platform.cluster.otlpEndpoint, region.region);
  if (!exportsMetrics(platform)) return own;
  const { receivers, processors, exporters, pipelines } = metricExport(platform, region);
  return {
    ...own,
    receivers: { ...own.receivers, ...receivers },
    processors: { ...own.processors, ...processors },
    exporters: { ...own.exporters, ...exporters },
    service: { ...own.service, pipelines: { ...own.service.pipelines, ...pipelines } },
  };
}

const collectorOf = (endpoint: string, region: string) => ({
  extensions: { health_check: { endpoint: `0.0.0.0:${healthPort}` } },
  receivers: {
    otlp: { protocols: { grpc: { endpoint: `0.0.0.0:${grpcPort}` }, http: { endpoint: `0.0.0.0:${ports.otlp}` } } },
  },
  processors: {
    // First: it refuses before memory runs out.
    memory_limiter: { check_interval: '1s', limit_percentage: 75, spike_limit_percentage: 20 },
    resource: { attributes: [{ key: 'cloud.region', value: region, action: 'upsert' }] },
    probabilistic_sampler: { sampling_percentage: 10 },
    batch: { timeout: '5s', send_batch_size: 1024 },
  },
  exporters: {
    otlphttp: { endpoint, sending_queue: { queue_size: 1000 }, retry_on_failure: { max_elapsed_time: '60s' } },
  },
  service: {
    extensions: ['health_check'],
    pipelines: {
      traces: {
        receivers: ['otlp'],
        processors: ['memory_limiter', 'resource', 'probabilistic_sampler', 'batch'],
        exporters: ['otlphttp'],
      },
      metrics: {
        receivers: ['otlp'],
        processors: ['memory_limiter', 'resource', 'batch'],
        exporters: ['otlphttp'],
      },
    },
  },
});
