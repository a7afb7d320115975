import { createHash } from 'node:crypto';
import type { ApiObjectProps, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort, healthPaths, imageVariable, leaseObjectName, usualLockName } from '../../gateway/contract.ts';
import { gatewayImage, imageLabel, kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { cloudSqlProxy } from '../blocks/cloud-sql.ts';
import {
  dataGiB,
  dataVolume,
  gatewayResources,
  holdfastContainer,
  outboxBound,
  volumes,
  volumesBesideData,
} from '../blocks/container.ts';
import { disruptionBudget } from '../blocks/disruption.ts';
import { labels, selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { placement } from '../blocks/placement.ts';
import { httpPort, probes } from '../blocks/probes.ts';
import { regionVariables } from '../blocks/region-variables.ts';
import { autoscaler, gatewayTriggers, type ScalingOptions, scaledObject } from '../blocks/scaling.ts';
import { isolated, podSecurity } from '../blocks/security.ts';
import { preStopPause, rollingUpdate, terminationGracePeriodSeconds } from '../blocks/shutdown.ts';
import { stayInZone } from '../blocks/traffic.ts';
import { claim } from '../blocks/volume.ts';
import { priorityClass } from './foundation.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const leaderRole = 'holdfast-gateway-leader';

/** What makes the pods: a StatefulSet where each needs its own volume back, a Kubernetes Deployment elsewhere. */
export const gatewayKind = (platform: Platform): 'Deployment' | 'StatefulSet' =>
  platform.tier.gateway.persistentOutbox ? 'StatefulSet' : 'Deployment';

/**
 * The least that the autoscaler keeps. A StatefulSet ends a pod before it starts the next, so an update would cost one
 * pod's capacity: there is always one more than the region needs.
 */
export const leastReplicas = ({ platform, region }: Pick<ChartInput, 'platform' | 'region'>): number =>
  region.gatewayReplicas + (platform.tier.gateway.persistentOutbox ? 1 : 0);

/** The gateway of one region: its pods, how many there are, what may end them, and its name inside the cluster. */
export function gatewayChart(input: ChartInput): Chart {
  const { platform } = input;
  const pods = selector(platform, 'gateway');
  const metadata = { name: kubernetes.gateway, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  const { minAvailable } = platform.tier.gateway;
  return newChart('gateway', [
    ...podsOf(input),
    {
      manifest: k8s.KubeService.manifest({
        metadata: { ...metadata, ...serviceAnnotations(platform) },
        spec: serviceSpec(pods),
      }),
      patches: [stayInZone()],
    },
    {
      manifest: k8s.KubePodDisruptionBudget.manifest({
        metadata,
        spec: disruptionBudget({ selector: pods, minAvailable, replicas: input.region.gatewayReplicas }),
      }),
    },
    { manifest: scaler(input) },
    ...(platform.cluster.leaderLease === 'kubernetes' ? leaderRights(platform) : []),
  ]);
}

/** Making a Lease cannot be bound to a name, as there is none yet; everything else is. */
function leaderRights(platform: Platform): ChartObject[] {
  const metadata = { name: leaderRole, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
  const lease = leaseObjectName(usualLockName);
  return [
    {
      manifest: k8s.KubeRole.manifest({
        metadata,
        rules: [
          { ...leases, verbs: ['create'] },
          { ...leases, verbs: ['get', 'update'], resourceNames: [lease] },
        ],
      }),
    },
    {
      manifest: k8s.KubeRoleBinding.manifest({
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: leaderRole },
        subjects: [{ kind: 'ServiceAccount', name: kubernetes.gatewayServiceAccount, namespace: kubernetes.namespace }],
      }),
    },
  ];
}

function podsOf(input: ChartInput): ChartObject[] {
  const { platform } = input;
  const metadata = { name: kubernetes.gateway, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  const pod = { metadata: { labels: metadata.labels, annotations: podAnnotations(input) }, spec: podSpec(input) };
  // No `replicas`: the autoscaler owns the number.
  const both = {
    selector: { matchLabels: selector(platform, 'gateway') },
    minReadySeconds: 10,
    revisionHistoryLimit: 5,
    template: pod,
  };
  if (gatewayKind(platform) === 'Deployment') {
    const spec = { ...both, strategy: rollingUpdate(), progressDeadlineSeconds: 600 };
    return [{ manifest: k8s.KubeDeployment.manifest({ metadata, spec }), patches: [preStopPause()] }];
  }
  const pods = { ...metadata, name: kubernetes.gatewayPods, labels: labels(platform, 'gateway-pods') };
  return [
    {
      manifest: k8s.KubeService.manifest({
        metadata: pods,
        spec: { clusterIp: 'None', selector: both.selector.matchLabels, ports: [servicePort] },
      }),
    },
    {
      manifest: k8s.KubeStatefulSet.manifest({ metadata, spec: { ...both, ...withVolumes(platform) } }),
      patches: [preStopPause()],
    },
  ];
}

/**
 * The outbox on a volume of its own. A claim by the pod itself (generic ephemeral volume) would be deleted together with
 * the pod of a lost node, and with it what it should save. Here the replacement has the same name, gets the same volume
 * as soon as the lost node is known to be gone, and ships what the outbox still holds. A volume stays in its zone:
 * when a zone is lost its pods wait for it, and the others carry the load, for which the tier is sized.
 */
const withVolumes = (platform: Platform) => ({
  serviceName: kubernetes.gatewayPods,
  // Pods do not wait for each other, neither at the first start nor when several are replaced after a failure.
  podManagementPolicy: 'Parallel',
  updateStrategy: { type: 'RollingUpdate' },
  // A pod that was scaled away may have been killed before its outbox was empty: the next of its name ships the rest.
  persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
  volumeClaimTemplates: [{ metadata: { name: dataVolume }, spec: claim(platform, `${dataGiB.volume}Gi`) }],
});

function scaler({ platform, region }: ChartInput): ApiObjectProps {
  const metadata = { name: kubernetes.gateway, namespace: kubernetes.namespace, labels: labels(platform, 'gateway') };
  const options: ScalingOptions = {
    kind: gatewayKind(platform),
    target: kubernetes.gateway,
    minReplicas: leastReplicas({ platform, region }),
    maxReplicas: platform.tier.gateway.maxReplicas,
  };
  return platform.cluster.autoscaler === 'keda'
    ? scaledObject(options, gatewayTriggers(platform.cluster.prometheusUrl), metadata)
    : k8s.KubeHorizontalPodAutoscalerV2.manifest({ metadata, spec: autoscaler(options) });
}

const servicePort: k8s.ServicePort = {
  name: httpPort,
  port: 80,
  targetPort: k8s.IntOrString.fromString(httpPort),
  appProtocol: 'http',
};

const serviceSpec = (pods: Record<string, string>): k8s.ServiceSpec => ({
  type: 'ClusterIP',
  selector: pods,
  ports: [servicePort],
});

/** Google's load balancer sends to pods directly and is told by annotations how to treat them. */
const serviceAnnotations = (platform: Platform): { annotations?: Record<string, string> } =>
  platform.cluster.kind === 'gke'
    ? {
        annotations: {
          'cloud.google.com/neg': '{"ingress": true}',
          'cloud.google.com/backend-config': `{"default": "${kubernetes.gateway}"}`,
        },
      }
    : {};

function podSpec(input: ChartInput): k8s.PodSpec {
  const { platform, region } = input;
  const kind = gatewayKind(platform);
  return {
    ...isolated,
    ...(platform.cluster.leaderLease === 'kubernetes' ? { automountServiceAccountToken: true } : {}),
    ...placement(selector(platform, 'gateway'), kind),
    serviceAccountName: kubernetes.gatewayServiceAccount,
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds,
    securityContext: podSecurity(),
    ...(platform.cluster.kind === 'gke' ? { initContainers: [cloudSqlProxy(platform)] } : {}),
    containers: [
      holdfastContainer(platform, region, {
        name: kubernetes.gateway,
        ports: [{ name: httpPort, containerPort: gatewayPort, protocol: 'TCP' }],
        resources: gatewayResources(),
        env: [
          outboxBound(kind === 'StatefulSet' ? 'volume' : 'node'),
          expectedReplicas(input),
          { name: imageVariable, value: imageLabel(gatewayImage(platform, region)) },
          ...regionVariables(platform, region),
          ...(platform.cluster.leaderLease === 'kubernetes'
            ? [{ name: 'LLMROUTER_HA_BACKEND', value: platform.cluster.leaderLease }]
            : []),
        ],
        ...probes(),
      }),
    ],
    volumes: kind === 'StatefulSet' ? volumesBesideData() : volumes(),
  };
}

/** Limits are divided by this number until the gateways have heard of each other. */
const expectedReplicas = (input: ChartInput): k8s.EnvVar => ({
  name: 'HOLDFAST_EXPECTED_REPLICAS',
  value: String(leastReplicas(input)),
});

const podAnnotations = ({ config }: ChartInput): Record<string, string> => ({
  // A new config makes new pods: without this only pods that happen to restart would ever read it.
  'holdfast/config-sha256': createHash('sha256').update(config).digest('hex'),
  'prometheus.io/scrape': 'true',
  'prometheus.io/path': healthPaths.metrics,
  'prometheus.io/port': String(gatewayPort),
});
