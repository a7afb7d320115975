/** A program beside the gateway with everything that keeps it alive, so that none of them can forget a part. */
import { createHash } from 'node:crypto';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { resources } from './container.ts';
import { disruptionBudget } from './disruption.ts';
import { type Component, labels, selector } from './labels.ts';
import type { ChartObject } from './object.ts';
import { placement } from './placement.ts';
import { containerSecurity, isolated, podSecurity } from './security.ts';
import { endpointSeconds, preStopPause, rollingUpdate } from './shutdown.ts';
import type { Egress, Ingress } from './traffic.ts';

export interface WorkloadOptions {
  readonly platform: Platform;
  /** Also the name of every object. */
  readonly component: Component;
  readonly image: string;
  readonly replicas: number;
  /** True where an autoscaler owns the number of replicas. */
  readonly scaled?: boolean;
  readonly container: Omit<k8s.Container, 'image' | 'name' | 'securityContext' | 'resources'>;
  readonly amounts: Readonly<Record<'cpu' | 'memory' | 'ephemeral-storage', string>>;
  /** More limits, which are then requests too: GPUs. */
  readonly devices?: Readonly<Record<string, string>>;
  readonly pod?: Partial<k8s.PodSpec>;
  /** Of the pods. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Files of a ConfigMap of the same name; a change of one is a change of the pods. */
  readonly files?: Readonly<Record<string, string>>;
  /** Seconds until a release that does not get ready is reported as failed; Kubernetes' 600 if not given. */
  readonly progressSeconds?: number;
  /** Seconds that the program needs after SIGTERM. */
  readonly stopSeconds: number;
  readonly ingress: readonly Ingress[];
  readonly egress: readonly Egress[];
}

/** ConfigMap, network policy, Kubernetes Deployment, Service for its ports, and disruption budget, where one pod is not all. */
export function workload(options: WorkloadOptions): ChartObject[] {
  const { platform, component, replicas, files, annotations = {} } = options;
  const metadata = metadataOf(options);
  const pods = selector(platform, component);
  const { ports = [] } = options.container;
  return [
    ...(files === undefined ? [] : [{ manifest: k8s.KubeConfigMap.manifest({ metadata, data: { ...files } }) }]),
    networkPolicy(options),
    {
      manifest: k8s.KubeDeployment.manifest({
        metadata,
        spec: {
          ...(options.scaled === true ? {} : { replicas }),
          selector: { matchLabels: pods },
          strategy: rollingUpdate(),
          revisionHistoryLimit: 3,
          ...(options.progressSeconds === undefined ? {} : { progressDeadlineSeconds: options.progressSeconds }),
          template: {
            metadata: { labels: metadata.labels, annotations: { ...annotations, ...configHash(files) } },
            spec: podSpec(options),
          },
        },
      }),
      patches: [preStopPause(endpointSeconds)],
    },
    ...(ports.length === 0
      ? []
      : [{ manifest: k8s.KubeService.manifest({ metadata, spec: serviceSpec(pods, ports) }) }]),
    ...(replicas === 1
      ? []
      : [
          {
            manifest: k8s.KubePodDisruptionBudget.manifest({
              metadata,
              spec: disruptionBudget({ selector: pods, minAvailable: replicas - 1, replicas }),
            }),
          },
        ]),
  ];
}

/** The two directions of one component; everything else is denied by the namespace's default. */
export const networkPolicy = (
  options: Pick<WorkloadOptions, 'platform' | 'component' | 'image' | 'ingress' | 'egress'>,
): ChartObject => ({
  manifest: k8s.KubeNetworkPolicy.manifest({
    metadata: metadataOf(options),
    spec: {
      podSelector: { matchLabels: selector(options.platform, options.component) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [...options.ingress],
      egress: [...options.egress],
    },
  }),
});

/** Name, namespace and labels of an object of one component. */
export const metadataOf = ({
  platform,
  component,
  image,
}: Pick<WorkloadOptions, 'platform' | 'component' | 'image'>) => ({
  name: component,
  namespace: kubernetes.namespace,
  labels: labels(platform, component, image),
});

function podSpec(options: WorkloadOptions): k8s.PodSpec {
  const { platform, component, image, container, amounts, devices = {} } = options;
  const asked = resources(amounts);
  const placed = placement(selector(platform, component));
  const further = Object.fromEntries(
    Object.entries(devices).map(([name, count]) => [name, k8s.Quantity.fromString(count)]),
  );
  return {
    ...isolated,
    ...placed,
    terminationGracePeriodSeconds: endpointSeconds + options.stopSeconds + 5,
    securityContext: podSecurity(),
    containers: [
      {
        ...container,
        name: component,
        image,
        imagePullPolicy: 'IfNotPresent',
        securityContext: containerSecurity(),
        resources: { requests: { ...asked.requests, ...further }, limits: { ...asked.limits, ...further } },
      },
    ],
    ...options.pod,
    tolerations: [...placed.tolerations, ...(options.pod?.tolerations ?? [])],
  };
}

const serviceSpec = (pods: Record<string, string>, ports: readonly k8s.ContainerPort[]): k8s.ServiceSpec => ({
  type: 'ClusterIP',
  selector: pods,
  ports: ports.map(({ name = '', containerPort }) => ({
    name,
    port: containerPort,
    targetPort: k8s.IntOrString.fromString(name),
  })),
});

/** Without it only pods that happen to restart would read a new configuration. */
const configHash = (files: Readonly<Record<string, string>> | undefined): Record<string, string> =>
  files === undefined
    ? {}
    : { 'holdfast/config-sha256': createHash('sha256').update(JSON.stringify(files)).digest('hex') };

/** A probe of a path; periods and thresholds are Kubernetes' defaults unless given. */
export const httpProbe = (path: string, port: string, more: Partial<k8s.Probe> = {}): k8s.Probe => ({
  httpGet: { path, port: k8s.IntOrString.fromString(port) },
  ...more,
});

export const tcpProbe = (port: string, more: Partial<k8s.Probe> = {}): k8s.Probe => ({
  tcpSocket: { port: k8s.IntOrString.fromString(port) },
  ...more,
});
