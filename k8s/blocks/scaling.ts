import type { ApiObjectProps } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-28';
import { metricNames } from '../../gateway/contract.ts';
import { gatewayJob } from '../../lib/alerts/scope.ts';

export interface ScalingOptions {
  readonly kind: 'Deployment' | 'StatefulSet';
  /** Name of the workload. */
  readonly target: string;
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/**
 * Grows by two pods in a minute and shrinks by one, and only after five quiet minutes: a pod that leaves drains for
 * minutes, so a wrong guess downwards is the dear one.
 */
const behavior: k8s.HorizontalPodAutoscalerBehaviorV2 = {
  scaleUp: { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] },
  scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
};

const target = ({ kind, target: name }: ScalingOptions): k8s.CrossVersionObjectReferenceV2 => ({
  apiVersion: 'apps/v1',
  kind,
  name,
});

/** By CPU and memory. The workload must not name `replicas` beside this, or each apply would throw the number away. */
export function autoscaler(options: ScalingOptions): k8s.HorizontalPodAutoscalerSpecV2 {
  return {
    scaleTargetRef: target(options),
    minReplicas: options.minReplicas,
    maxReplicas: Math.max(options.maxReplicas, options.minReplicas),
    metrics: [utilization('cpu', 70), utilization('memory', 80)],
    behavior,
  };
}

/** One reason for KEDA to scale. */
export type Trigger =
  | {
      readonly type: 'cpu' | 'memory';
      readonly metricType: 'Utilization';
      readonly metadata: { readonly value: string };
    }
  | {
      readonly type: 'prometheus';
      readonly metricType: 'AverageValue';
      readonly metadata: { readonly serverAddress: string; readonly threshold: string; readonly query: string };
    };

/** What a pod may carry of `query`'s result; KEDA divides by the number of pods. */
export const prometheusTrigger = (serverAddress: string, threshold: number, query: string): Trigger => ({
  type: 'prometheus',
  metricType: 'AverageValue',
  metadata: { serverAddress, threshold: String(threshold), query },
});

export const cpuTrigger: Trigger = { type: 'cpu', metricType: 'Utilization', metadata: { value: '70' } };

/** Requests that one pod may have running: each holds its body and its stream in memory, whatever the CPU says. */
const inFlightPerPod = 250;

/**
 * Request rate, running requests and CPU. A gateway's queue is its running requests: it answers 503 rather than keep one
 * waiting that it cannot serve.
 */
export const gatewayTriggers = (prometheusUrl: string): Trigger[] => [
  prometheusTrigger(prometheusUrl, 1000, `sum(rate(${metricNames.requests}{${gatewayJob}}[2m]))`),
  prometheusTrigger(prometheusUrl, inFlightPerPod, `sum(${metricNames.inFlight}{${gatewayJob}})`),
  cpuTrigger,
];

/**
 * The same bounds and pace by KEDA. It makes an autoscaler of its own for the target, so never put another beside it.
 * Without Prometheus it gives no numbers for its first triggers, and then nothing shrinks; CPU still makes it grow.
 */
export const scaledObject = (
  options: ScalingOptions,
  triggers: readonly Trigger[],
  metadata: ApiObjectProps['metadata'],
): ApiObjectProps => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  ...(metadata === undefined ? {} : { metadata }),
  spec: {
    scaleTargetRef: target(options),
    minReplicaCount: options.minReplicas,
    maxReplicaCount: Math.max(options.maxReplicas, options.minReplicas),
    pollingInterval: 15,
    cooldownPeriod: 300,
    advanced: { horizontalPodAutoscalerConfig: { behavior } },
    triggers,
  },
});

/** `percent` of what the pods request. */
const utilization = (name: 'cpu' | 'memory', percent: number): k8s.MetricSpecV2 => ({
  type: 'Resource',
  resource: { name, target: { type: 'Utilization', averageUtilization: percent } },
});
