import type { ApiObjectProps } from 'cdk8s';
import { kubernetes } from '../../lib/platform/names.ts';
import { gatewayNode } from '../../lib/platform/nodes.ts';

/**
 * The pool that EKS Auto Mode tries first: nodes of the one type that AWS may keep for a failover (`DesiredCapacity`), so
 * that what is kept is what is used. Where that type is not to be had, the pools of Auto Mode take any other.
 * @param nodesAtMost bound of the bill
 */
export const gatewayNodes = (
  labels: Readonly<Record<string, string>>,
  zones: readonly string[],
  nodesAtMost: number,
): ApiObjectProps => ({
  apiVersion: 'karpenter.sh/v1',
  kind: 'NodePool',
  // Not bound to a namespace, so it carries the product's name.
  metadata: { name: `${kubernetes.namespace}-${kubernetes.gateway}`, labels },
  spec: {
    // The pools that Auto Mode brings along have none, which is less.
    weight: 10,
    template: {
      spec: {
        nodeClassRef: { group: 'eks.amazonaws.com', kind: 'NodeClass', name: 'default' },
        requirements: [
          { key: 'node.kubernetes.io/instance-type', operator: 'In', values: [gatewayNode.instanceType] },
          { key: 'topology.kubernetes.io/zone', operator: 'In', values: [...zones] },
          { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
          { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['on-demand'] },
        ],
        // Streams may end before a node is replaced, but nothing holds a node for ever.
        terminationGracePeriod: '1h',
      },
    },
    disruption: { consolidationPolicy: 'WhenEmptyOrUnderutilized', consolidateAfter: '5m' },
    limits: { cpu: String(gatewayNode.cpus * nodesAtMost) },
  },
});
