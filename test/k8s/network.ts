/** What NetworkPolicies allow: a model of the rules as Kubernetes documents them, for the kinds of peers that ours name. */
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { at, listAt, type Manifest, selects, selectsPod } from './manifests.ts';

/** A pod, by its namespace and labels, or whatever has an address outside of the cluster. */
export type Peer = { readonly namespace: string; readonly labels: unknown } | { readonly address: string };

export interface Connection {
  /** Labels of the pod in our namespace whose rules are asked. */
  readonly labels: unknown;
  readonly peer: Peer;
  readonly port: number;
  readonly protocol?: 'TCP' | 'UDP';
}

/** True when the rules let the pod call the peer. */
export const mayLeave = (objects: readonly Manifest[], connection: Connection): boolean =>
  allowed(objects, connection, 'egress', 'to');

/** True when the rules let the peer call the pod. */
export const mayEnter = (objects: readonly Manifest[], connection: Connection): boolean =>
  allowed(objects, connection, 'ingress', 'from');

function allowed(
  objects: readonly Manifest[],
  { labels, peer, port, protocol = 'TCP' }: Connection,
  side: 'egress' | 'ingress',
  direction: 'to' | 'from',
): boolean {
  const policies = objects.filter(
    (object) =>
      object.kind === 'NetworkPolicy' &&
      listAt(object, 'spec.policyTypes').includes(side === 'egress' ? 'Egress' : 'Ingress') &&
      selectsPod(at(object, 'spec.podSelector'), labels),
  );
  if (policies.length === 0) return true;
  return policies
    .flatMap((policy) => listAt(policy, `spec.${side}`))
    .some((rule) => {
      const ports = listAt(rule, 'ports');
      const peers = listAt(rule, direction);
      return (
        (ports.length === 0 ||
          ports.some((one) => at(one, 'port') === port && (at(one, 'protocol') ?? 'TCP') === protocol)) &&
        (peers.length === 0 || peers.some((one) => isMeant(one, peer)))
      );
    });
}

function isMeant(rule: unknown, peer: Peer): boolean {
  const cidr = at(rule, 'ipBlock.cidr');
  if (!('namespace' in peer)) {
    const excepted = listAt(rule, 'ipBlock.except').map(String);
    return (
      typeof cidr === 'string' && contains(cidr, peer.address) && !excepted.some((one) => contains(one, peer.address))
    );
  }
  if (cidr !== undefined) return false;
  const namespaces = at(rule, 'namespaceSelector');
  const inNamespace =
    namespaces === undefined
      ? peer.namespace === 'holdfast'
      : selects(at(namespaces, 'matchLabels'), { 'kubernetes.io/metadata.name': peer.namespace });
  return inNamespace && selects(at(rule, 'podSelector.matchLabels'), peer.labels);
}

function contains(cidr: string, address: string): boolean {
  const [network = '', length] = cidr.split('/');
  const family = z.union([z.literal(4), z.literal(6)]).parse(isIP(network));
  if (isIP(address) !== family) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(length), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
