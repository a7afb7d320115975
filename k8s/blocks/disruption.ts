import { k8s } from 'cdk8s-plus-28';

export interface DisruptionOptions {
  readonly selector: Readonly<Record<string, string>>;
  /** What the tier asks for. */
  readonly minAvailable: number;
  /** Replicas in peace. */
  readonly replicas: number;
}

/**
 * How many pods a node drain or upgrade must leave running: the tier's number, but always one fewer than there are.
 * Otherwise a region with as many replicas as must stay could never be upgraded.
 */
export function disruptionBudget(options: DisruptionOptions): k8s.PodDisruptionBudgetSpec {
  return {
    minAvailable: k8s.IntOrString.fromNumber(Math.min(options.minAvailable, options.replicas - 1)),
    selector: { matchLabels: { ...options.selector } },
    // A pod that is not ready protects nothing by staying; without this it can block a drain forever.
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
  };
}
