/** What pods may talk to (the default denies everything, both ways), and which of them a client inside gets. */
import { JsonPatch } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort } from '../../gateway/contract.ts';
import { ports } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { type Component, selector } from './labels.ts';

export type Egress = k8s.NetworkPolicyEgressRule;
export type Ingress = k8s.NetworkPolicyIngressRule;

const port = (number: number, protocol: 'TCP' | 'UDP' = 'TCP'): k8s.NetworkPolicyPort => ({
  port: k8s.IntOrString.fromNumber(number),
  protocol,
});
const range = (cidr: string): k8s.NetworkPolicyPeer => ({ ipBlock: { cidr } });

/** Applies to every pod of the namespace and allows nothing. */
export const denyAll = (): k8s.NetworkPolicySpec => ({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });

/** Clients and Prometheus, which read the same port: the load balancer's nodes in the VPC, and pods of the cluster. */
export const serveClients = (vpcCidr: string): Ingress[] => [
  // Where pods have addresses of their own range, only the second peer covers them.
  { from: [range(vpcCidr), { namespaceSelector: {} }], ports: [port(gatewayPort)] },
];

/** Pods of these components may call the port; `all` means every pod of every namespace, for scrapers. */
export const serve = (
  platform: Platform,
  from: readonly Component[] | 'all',
  ...numbers: readonly number[]
): Ingress => ({
  from: from === 'all' ? [{ namespaceSelector: {} }] : from.map((component) => podsOf(platform, component)),
  ports: numbers.map((number) => port(number)),
});

/** Pods of a component in this namespace, by their own ports. */
export const reach = (platform: Platform, component: Component, ...numbers: readonly number[]): Egress => ({
  to: [podsOf(platform, component)],
  ports: numbers.map((number) => port(number)),
});

const podsOf = (platform: Platform, component: Component): k8s.NetworkPolicyPeer => ({
  podSelector: { matchLabels: selector(platform, component) },
});

/** The Kubernetes API, whose address no selector finds: HTTPS inside the VPC, and the port behind it on some clusters. */
export const reachKubernetes = (): Egress => ({ ports: [port(443), port(6443)] });

/** PostgreSQL and Redis of this region. Other regions are reached through their load balancers. */
export const reachStores = (vpcCidr: string): Egress[] => [
  { to: [range(vpcCidr)], ports: [port(ports.postgres), port(ports.valkey)] },
];

/** Providers, AWS, and the other regions' gateways: HTTPS to anywhere. It leaves the node's metadata (port 80) out. */
export const reachTheWorld = (): Egress[] => [{ to: [range('0.0.0.0/0'), range('::/0')], ports: [port(443)] }];

/**
 * Name resolution. Any address, since EKS Auto Mode runs DNS on the node and not in pods, so that no selector finds it.
 */
export const resolveNames = (): Egress[] => [{ ports: [port(53, 'UDP'), port(53)] }];

/** The agent of EKS Pod Identity on each node, which hands out the AWS credentials. */
export const reachPodIdentity = (): Egress[] => [
  { to: [range('169.254.170.23/32'), range('fd00:ec2::23/128')], ports: [port(80)] },
];

/** Clients in the cluster stay in their zone while it has a ready gateway. A patch, since the types are those of 1.28. */
export const stayInZone = (): JsonPatch => JsonPatch.add('/spec/trafficDistribution', 'PreferSameZone');
