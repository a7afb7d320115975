import type { ApiObjectProps } from 'cdk8s';
import { kubernetes } from '../../lib/platform/names.ts';

/** Instances with one NVIDIA GPU of 24 or 48 GB, the cheapest that fits is taken. */
const families = ['g5', 'g6', 'g6e'];

/**
 * GPUs for pods that ask for them, in EKS Auto Mode: nodes come with the first such pod, with drivers, and go when they
 * are empty. The pools that Auto Mode brings along have none, and such a pod would wait for ever.
 * @param labels of the pool itself
 * @param gpusAtMost bound of the bill
 */
export const gpuNodes = (labels: Readonly<Record<string, string>>, gpusAtMost: number): ApiObjectProps => ({
  apiVersion: 'karpenter.sh/v1',
  kind: 'NodePool',
  // Not bound to a namespace, so it carries the product's name.
  metadata: { name: `${kubernetes.namespace}-gpu`, labels },
  spec: {
    template: {
      spec: {
        nodeClassRef: { group: 'eks.amazonaws.com', kind: 'NodeClass', name: 'default' },
        requirements: [
          { key: 'eks.amazonaws.com/instance-family', operator: 'In', values: families },
          { key: 'eks.amazonaws.com/instance-gpu-count', operator: 'In', values: ['1'] },
          { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
          // A spot instance is taken away with two minutes' notice, and loading a model takes longer.
          { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['on-demand', 'reserved'] },
        ],
        // Nothing else may take the place that is paid for by the GPU.
        taints: [{ key: 'nvidia.com/gpu', effect: 'NoSchedule' }],
        // A generation under way may end before a node is replaced, but nothing holds a node for ever.
        terminationGracePeriod: '1h',
      },
    },
    // Never for a better fit: each move is a model that is loaded again.
    disruption: { consolidationPolicy: 'WhenEmpty', consolidateAfter: '10m' },
    limits: { 'nvidia.com/gpu': String(gpusAtMost) },
  },
});
