import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import { configKey } from '../blocks/container.ts';
import { labels, selector } from '../blocks/labels.ts';
import { restrictedNamespace } from '../blocks/security.ts';
import {
  denyAll,
  reachPodIdentity,
  reachStores,
  reachTheWorld,
  resolveNames,
  serveClients,
} from '../blocks/traffic.ts';
import { type ChartInput, type ChartObject, newChart } from './region-chart.ts';

/** Name of the PriorityClass: not bound to a namespace, so it carries the product's name. */
export const priorityClass = `${kubernetes.namespace}-${kubernetes.gateway}`;

/** What stands before the first pod: namespace, priority, identity, configuration, and the rules of the network. */
export function foundationChart({ platform, region, config }: ChartInput): Chart {
  const { namespace } = kubernetes;
  const common = labels(platform, 'gateway');
  const policy = (name: string, spec: k8s.NetworkPolicySpec): ChartObject => ({
    manifest: k8s.KubeNetworkPolicy.manifest({ metadata: { name, namespace, labels: common }, spec }),
  });
  return newChart('foundation', [
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
    policy('deny-all', denyAll()),
    policy('gateway', {
      podSelector: { matchLabels: selector(platform, 'gateway') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: serveClients(region.cidr),
      egress: [...resolveNames(), ...reachStores(region.cidr), ...reachTheWorld(), ...reachPodIdentity()],
    }),
    policy('migration', {
      podSelector: { matchLabels: selector(platform, 'migration') },
      policyTypes: ['Egress'],
      egress: [...resolveNames(), ...reachStores(region.cidr)],
    }),
  ]);
}

const namespaceLabels = (common: Readonly<Record<string, string>>): Record<string, string> => ({
  ...common,
  ...restrictedNamespace(),
  // A new pod counts as ready only once the load balancer has found it healthy too; otherwise a rolling update could
  // end the last pod that the load balancer knows. For EKS Auto Mode, and for the self-managed controller.
  'eks.amazonaws.com/pod-readiness-gate-inject': 'enabled',
  'elbv2.k8s.aws/pod-readiness-gate-inject': 'enabled',
});
