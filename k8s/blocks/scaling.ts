import type { k8s } from 'cdk8s-plus-28';

export interface ScalingOptions {
  /** Name of the Kubernetes Deployment. */
  readonly target: string;
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/**
 * Grows by two pods in a minute and shrinks by one, and only after five quiet minutes: a pod that leaves drains for
 * minutes, so a wrong guess downwards is the dear one. The Kubernetes Deployment must not name `replicas` beside this,
 * or each apply would throw the autoscaler's number away.
 */
export function autoscaler(options: ScalingOptions): k8s.HorizontalPodAutoscalerSpecV2 {
  return {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: options.target },
    minReplicas: options.minReplicas,
    maxReplicas: Math.max(options.maxReplicas, options.minReplicas),
    metrics: [utilization('cpu', 70), utilization('memory', 80)],
    behavior: {
      scaleUp: { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] },
      scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
    },
  };
}

/** `percent` of what the pods request. */
const utilization = (name: 'cpu' | 'memory', percent: number): k8s.MetricSpecV2 => ({
  type: 'Resource',
  resource: { name, target: { type: 'Utilization', averageUtilization: percent } },
});
