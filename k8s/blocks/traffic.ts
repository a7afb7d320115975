/** What pods may talk to (the default denies everything, both ways), and which of them a client inside gets. */
import { JsonPatch } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort } from '../../gateway/contract.ts';
import { ports } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
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

/** Where Google's load balancers and their health checks come from; with container-native load balancing they call pods. */
const googleFrontEnds = ['130.211.0.0/22', '35.191.0.0/16'].map(range);

/** Clients and Prometheus, which read the same port: the load balancer's nodes in the VPC, and pods of the cluster. */
export const serveClients = ({ cluster }: Platform, { cidr }: Region): Ingress[] => [
  {
    // Where pods have addresses of their own range, only the second peer covers them.
    from: [range(cidr), { namespaceSelector: {} }, ...(cluster.kind === 'gke' ? googleFrontEnds : [])],
    ports: [port(gatewayPort)],
  },
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

/** What Google's proxy to Cloud SQL calls, whatever port it listens on itself. */
export const cloudSqlPort = 3307;
/** Memorystore's port with TLS. */
const memorystoreTlsPort = 6378;
/** Services that Google runs for us have addresses of a peered network, outside of ours. */
export const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'] as const;

/** PostgreSQL and Redis of this region, as the kind of cluster has them. Other regions are reached through their doors. */
export function reachStores({ cluster }: Platform, { cidr }: Region): Egress[] {
  const both = [ports.postgres, ports.valkey];
  switch (cluster.kind) {
    case 'eks':
      return [{ to: [range(cidr)], ports: both.map((number) => port(number)) }];
    case 'gke':
      return [
        {
          to: privateRanges.map(range),
          ports: [...both, cloudSqlPort, memorystoreTlsPort].map((number) => port(number)),
        },
      ];
    case 'generic':
      // Machines of our own: Sentinels and poolers stand beside the servers.
      return [{ to: [range(cidr)], ports: [...both, ports.sentinel, ports.pgbouncer].map((number) => port(number)) }];
  }
}

/** Providers, AWS, and the other regions' gateways: HTTPS to anywhere. It leaves the node's metadata (port 80) out. */
export const reachTheWorld = (): Egress[] => [{ to: [range('0.0.0.0/0'), range('::/0')], ports: [port(443)] }];

/**
 * Name resolution. Any address, since EKS Auto Mode runs DNS on the node and not in pods, so that no selector finds it.
 */
export const resolveNames = (): Egress[] => [{ ports: [port(53, 'UDP'), port(53)] }];

/** Who hands out the cloud's credentials on each node: the agent of EKS Pod Identity, or GKE's metadata server. */
export function reachIdentity({ cluster }: Platform): Egress[] {
  switch (cluster.kind) {
    case 'eks':
      return [{ to: [range('169.254.170.23/32'), range('fd00:ec2::23/128')], ports: [port(80)] }];
    case 'gke':
      // The first is the second as rules see it, depending on what carries the cluster's network.
      return [
        { to: [range('169.254.169.252/32')], ports: [port(988)] },
        { to: [range('169.254.169.254/32')], ports: [port(80)] },
      ];
    case 'generic':
      return [];
  }
}

/**
 * An address that a configuration names. For a name that may be one of the cluster's (`llm`, `llm.models`,
 * `llm.models.svc`) the namespace is opened and not the port: rules see the pods' port, which is often not the Service's.
 * Port 443 outside is `reachTheWorld`'s.
 * @param host name, address or range; never the node's own addresses, which have other rules
 */
export function reachAddress(host: string, number: number): Egress[] {
  if (/^[\d.]+(\/\d+)?$/.test(host)) {
    return [{ to: [range(host.includes('/') ? host : `${host}/32`)], ports: [port(number)] }];
  }
  const [name = '', namespace, ...rest] = host.replace(/\.svc(\.cluster\.local)?$/, '').split('.');
  if (namespace === undefined) return [{ to: [{ podSelector: {} }] }];
  const anywhere = { ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } };
  const outside: Egress[] = number === 443 ? [] : [{ to: [anywhere, range('::/0')], ports: [port(number)] }];
  if (rest.length > 0) return outside;
  const inside = { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }] };
  // Two parts alone may be either: a Service and its namespace, or a domain.
  return host === `${name}.${namespace}` ? [inside, ...outside] : [inside];
}

/** Addresses written as URLs; one that cannot be read names nobody, and whoever uses it says so. */
export const reachUrls = (urls: readonly string[]): Egress[] =>
  urls
    .filter((url) => URL.canParse(url))
    .flatMap((url) => {
      const { hostname, port: stated, protocol } = new URL(url);
      return reachAddress(hostname, Number(stated || (usualPorts[protocol] ?? 443)));
    });

const usualPorts: Readonly<Record<string, number>> = {
  'http:': 80,
  'ws:': 80,
  'redis:': ports.valkey,
  'rediss:': ports.valkey,
  'postgres:': ports.postgres,
  'postgresql:': ports.postgres,
};

/** Every URL among the values of a document, however deep. */
export function urlsIn(document: unknown): string[] {
  if (typeof document === 'string') return /^(https?|wss?|rediss?|postgres(ql)?):\/\//.test(document) ? [document] : [];
  if (typeof document !== 'object' || document === null) return [];
  return Object.values(document).flatMap(urlsIn);
}

/** Where backups go, with the cloud's credentials or those of a Secret. */
export const reachObjectStore = (platform: Platform): Egress[] => [
  ...reachTheWorld(),
  ...reachIdentity(platform),
  ...reachUrls(platform.cluster.objectStoreUrl === undefined ? [] : [platform.cluster.objectStoreUrl]),
];

/** Each rule once. */
export const distinctRules = (rules: readonly Egress[]): Egress[] => [
  ...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values(),
];

/**
 * Clients in the cluster stay in their zone while it has a ready gateway. By the older name of `PreferSameZone`, which
 * Kubernetes 1.33 refuses unless told otherwise; all versions take this one. A patch, since the types are those of 1.28.
 */
export const stayInZone = (): JsonPatch => JsonPatch.add('/spec/trafficDistribution', 'PreferClose');
