import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { parse } from 'yaml';
import { gatewaySecretName, kubernetes, ports, secretNameOf } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { AddonName } from '../../lib/platform/spec.ts';
import { configKey } from '../blocks/container.ts';
import { gatewayNodes } from '../blocks/gateway-nodes.ts';
import { labels, selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { restrictedNamespace } from '../blocks/security.ts';
import {
  denyAll,
  distinctRules,
  type Egress,
  reach,
  reachAddress,
  reachIdentity,
  reachKubernetes,
  reachStores,
  reachTheWorld,
  reachUrls,
  resolveNames,
  serveClients,
  urlsIn,
} from '../blocks/traffic.ts';
import { storageClass } from '../blocks/volume.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** Name of the PriorityClass: not bound to a namespace, so it carries the product's name. */
export const priorityClass = `${kubernetes.namespace}-${kubernetes.gateway}`;

/** In a cluster of ours alone: the owner of another one chooses its nodes. */
const ownNodes = (platform: Platform, region: Region, common: Readonly<Record<string, string>>): ChartObject[] =>
  platform.cluster.kind !== 'eks' || region.cluster !== undefined
    ? []
    : [{ manifest: gatewayNodes(common, region.availabilityZones, platform.tier.gateway.maxReplicas) }];

/** What stands before the first pod: namespace, priority, identity, configuration, and the rules of the network. */
export function foundationChart({ platform, region, config }: ChartInput): Chart {
  const { namespace } = kubernetes;
  const common = labels(platform, 'gateway');
  const volumes = storageClass(platform, common);
  const policy = (name: string, spec: k8s.NetworkPolicySpec): ChartObject => ({
    manifest: k8s.KubeNetworkPolicy.manifest({ metadata: { name, namespace, labels: common }, spec }),
  });
  const objects: ChartObject[] = [
    { manifest: k8s.KubeNamespace.manifest({ metadata: { name: namespace, labels: namespaceLabels(common) } }) },
    {
      manifest: k8s.KubePriorityClass.manifest({
        metadata: { name: priorityClass, labels: common },
        value: 1_000_000,
        globalDefault: false,
        preemptionPolicy: 'PreemptLowerPriority',
        description: 'The gateway: when space is short after a failure, other work makes room for it.',
      }),
    },
    {
      manifest: k8s.KubeServiceAccount.manifest({
        metadata: { name: kubernetes.gatewayServiceAccount, namespace, labels: common },
        automountServiceAccountToken: false,
      }),
    },
    {
      manifest: k8s.KubeConfigMap.manifest({
        metadata: { name: kubernetes.configMap, namespace, labels: common },
        data: { [configKey]: config },
      }),
    },
    ...(volumes === undefined ? [] : [{ manifest: volumes }]),
    ...ownNodes(platform, region, common),
    ...externalSecrets(platform, common),
    policy('deny-all', denyAll()),
    policy('gateway', {
      podSelector: { matchLabels: selector(platform, 'gateway') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: serveClients(platform, region),
      egress: distinctRules([
        ...resolveNames(),
        ...reachStores(platform, region),
        ...reachTheWorld(),
        ...reachIdentity(platform),
        ...reachAddons(platform),
        ...(platform.cluster.leaderLease === 'kubernetes' ? [reachKubernetes()] : []),
        // Models that somebody hosts themselves, on whatever port: those that the config names, and those that it takes
        // from variables, which nobody knows here.
        ...reachUrls(urlsIn(parse(config))),
        ...platform.cluster.outbound.flatMap((address) => reachOutbound(address)),
      ]),
    }),
    policy('migration', {
      podSelector: { matchLabels: selector(platform, 'migration') },
      policyTypes: ['Egress'],
      egress: [
        ...resolveNames(),
        ...reachStores(platform, region),
        ...reachDatabasePods(platform),
        // Google's proxy to the database asks Google's API with the cloud's credentials.
        ...(platform.cluster.kind === 'gke' ? [...reachTheWorld(), ...reachIdentity(platform)] : []),
      ],
    }),
  ];
  return newChart('foundation', objects.map(inFirstWave));
}

/** Argo CD applies the lowest wave first: before the migration, which needs the account and the rules. */
const inFirstWave = (object: ChartObject): ChartObject => ({
  ...object,
  manifest: {
    ...object.manifest,
    metadata: { ...object.manifest.metadata, annotations: { 'argocd.argoproj.io/sync-wave': '-2' } },
  },
});

/** `HOST:PORT`, as the platform's validation lets it through. */
function reachOutbound(address: string): Egress[] {
  const [host = '', number] = address.split(':');
  return reachAddress(host, Number(number));
}

/** What runs in this namespace and not behind an address of the VPC. */
function reachAddons(platform: Platform): Egress[] {
  const { addons } = platform.cluster;
  return [
    ...reachDatabasePods(platform),
    ...(addons.includes('redis')
      ? [reach(platform, 'redis', ports.valkey), reach(platform, 'redis-sentinel', ports.sentinel)]
      : []),
    ...(addons.includes('pgbouncer') ? [reach(platform, 'pgbouncer', ports.pgbouncer)] : []),
    ...(addons.includes('vllm') ? [reach(platform, 'vllm', ports.vllm)] : []),
    ...(addons.includes('agentgateway') ? [reach(platform, 'agentgateway', ports.agentGateway)] : []),
    ...(addons.includes('telemetry') ? [reach(platform, 'otel-collector', ports.otlp)] : []),
  ];
}

const reachDatabasePods = (platform: Platform): Egress[] =>
  platform.cluster.addons.includes('postgres') ? [reach(platform, 'postgres', ports.postgres)] : [];

/**
 * Fills the Secrets of the gateway and its neighbours from a store outside, once an hour. Running pods keep what they read
 * at their start. Certificates are not among them: who issues those renews them, too.
 */
function externalSecrets(platform: Platform, common: Record<string, string>): ChartObject[] {
  const { secretStore } = platform.cluster;
  if (secretStore === undefined) return [];
  return secretsOf(platform).map((name) => ({
    manifest: {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name, namespace: kubernetes.namespace, labels: common },
      spec: {
        refreshInterval: '1h',
        secretStoreRef: { kind: 'ClusterSecretStore', name: secretStore },
        target: { name, creationPolicy: 'Owner' },
        dataFrom: [
          { extract: { key: name === kubernetes.secret ? gatewaySecretName(platform) : secretNameOf(platform, name) } },
        ],
      },
    },
  }));
}

/** Every Secret that some pod of this platform reads, certificates left out. */
function secretsOf({ cluster: { addons, kind } }: Platform): string[] {
  const has = (...names: readonly AddonName[]): boolean => names.some((name) => addons.includes(name));
  const needed: readonly (readonly [needed: boolean, name: string])[] = [
    [true, kubernetes.secret],
    [has('pgbouncer'), kubernetes.pgbouncerSecret],
    [has('vllm'), kubernetes.vllmSecret],
    [has('agentgateway'), kubernetes.agentGatewaySecret],
    [has('exporters'), kubernetes.exporterSecret],
    [has('redis'), kubernetes.redisSecret],
    [has('drills'), kubernetes.loadTestSecret],
    [kind !== 'eks' && has('backup', 'postgres', 'vault'), kubernetes.objectStoreSecret],
    [kind !== 'eks' && has('vault'), kubernetes.vaultSealSecret],
    [kind === 'gke', kubernetes.cloudSqlSecret],
  ];
  return needed.filter(([is]) => is).map(([, name]) => name);
}

const namespaceLabels = (common: Readonly<Record<string, string>>): Record<string, string> => ({
  ...common,
  ...restrictedNamespace(),
  // A new pod counts as ready only once the load balancer has found it healthy too; otherwise a rolling update could
  // end the last pod that the load balancer knows. For EKS Auto Mode, and for the self-managed controller.
  'eks.amazonaws.com/pod-readiness-gate-inject': 'enabled',
  'elbv2.k8s.aws/pod-readiness-gate-inject': 'enabled',
});
