import { createHash } from 'node:crypto';
import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort, healthPaths } from '../../gateway/contract.ts';
import { kubernetes } from '../../lib/platform/names.ts';
import { gatewayResources, holdfastContainer, volumes } from '../blocks/container.ts';
import { disruptionBudget } from '../blocks/disruption.ts';
import { labels, selector } from '../blocks/labels.ts';
import { placement } from '../blocks/placement.ts';
import { httpPort, probes } from '../blocks/probes.ts';
import { autoscaler } from '../blocks/scaling.ts';
import { isolated, podSecurity } from '../blocks/security.ts';
import { preStopPause, rollingUpdate, terminationGracePeriodSeconds } from '../blocks/shutdown.ts';
import { stayInZone } from '../blocks/traffic.ts';
import { priorityClass } from './foundation.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** The gateway of one region: its pods, how many there are, what may end them, and its name inside the cluster. */
export function gatewayChart(input: ChartInput): Chart {
  const { platform, region } = input;
  const pods = selector(platform, 'gateway');
  const metadata = { name: kubernetes.gateway, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  const { minAvailable, maxReplicas } = platform.tier.gateway;
  const replicas = region.gatewayReplicas;
  const scaling = { target: kubernetes.gateway, minReplicas: replicas, maxReplicas };
  return newChart('gateway', [
    {
      manifest: k8s.KubeDeployment.manifest({ metadata, spec: deploymentSpec(input, metadata.labels) }),
      patches: [preStopPause()],
    },
    { manifest: k8s.KubeService.manifest({ metadata, spec: serviceSpec(pods) }), patches: [stayInZone()] },
    {
      manifest: k8s.KubePodDisruptionBudget.manifest({
        metadata,
        spec: disruptionBudget({ selector: pods, minAvailable, replicas }),
      }),
    },
    { manifest: k8s.KubeHorizontalPodAutoscalerV2.manifest({ metadata, spec: autoscaler(scaling) }) },
  ]);
}

function deploymentSpec(input: ChartInput, podLabels: Record<string, string>): k8s.DeploymentSpec {
  return {
    // No `replicas`: the autoscaler owns the number.
    selector: { matchLabels: selector(input.platform, 'gateway') },
    strategy: rollingUpdate(),
    minReadySeconds: 10,
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 5,
    template: { metadata: { labels: podLabels, annotations: podAnnotations(input) }, spec: podSpec(input) },
  };
}

const serviceSpec = (pods: Record<string, string>): k8s.ServiceSpec => ({
  type: 'ClusterIP',
  selector: pods,
  ports: [{ name: httpPort, port: 80, targetPort: k8s.IntOrString.fromString(httpPort), appProtocol: 'http' }],
});

function podSpec({ platform }: ChartInput): k8s.PodSpec {
  return {
    ...isolated,
    ...placement(selector(platform, 'gateway')),
    serviceAccountName: kubernetes.gatewayServiceAccount,
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds,
    securityContext: podSecurity(),
    containers: [
      holdfastContainer(platform, {
        name: kubernetes.gateway,
        ports: [{ name: httpPort, containerPort: gatewayPort, protocol: 'TCP' }],
        resources: gatewayResources(),
        ...probes(),
      }),
    ],
    volumes: volumes(),
  };
}

const podAnnotations = ({ config }: ChartInput): Record<string, string> => ({
  // A new config makes new pods: without this only pods that happen to restart would ever read it.
  'holdfast/config-sha256': createHash('sha256').update(config).digest('hex'),
  'prometheus.io/scrape': 'true',
  'prometheus.io/path': healthPaths.metrics,
  'prometheus.io/port': String(gatewayPort),
});
