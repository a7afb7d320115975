import type { k8s } from 'cdk8s-plus-28';

const zone = 'topology.kubernetes.io/zone';
const host = 'kubernetes.io/hostname';

/** Where pods go, as fields of a pod specification. */
export interface Placement {
  readonly affinity: k8s.Affinity;
  readonly topologySpreadConstraints: k8s.TopologySpreadConstraint[];
  readonly tolerations: k8s.Toleration[];
}

/**
 * Evenly over the zones as a rule, over the hosts as a wish. `selector` selects the pods themselves.
 * @param kind pods of a StatefulSet with volumes are bound to a zone: see below
 */
export function placement(
  selector: Readonly<Record<string, string>>,
  kind: 'Deployment' | 'StatefulSet' = 'Deployment',
): Placement {
  const labelSelector = { matchLabels: { ...selector } };
  return {
    affinity: {
      podAntiAffinity: {
        // A wish: with more pods than hosts, two share one rather than that one waits.
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { topologyKey: host, labelSelector } },
        ],
      },
    },
    topologySpreadConstraints: [
      {
        // Not anti-affinity by zone, which would allow one pod for each zone and stop the autoscaler there.
        maxSkew: 1,
        topologyKey: zone,
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector,
        // Counts each release for itself: otherwise pods of the old one, soon gone, decide where the new ones go. Not where
        // each pod must return to the zone of its volume: the new release, counted alone, could be refused its own place.
        ...(kind === 'Deployment' ? { matchLabelKeys: ['pod-template-hash'] } : {}),
        // A zone whose nodes are down or cordoned no longer counts. By default it would count with no pods in it, and
        // the rule would keep every replacement from starting in the zones that are left. `minDomains` is absent for
        // the same reason: with a zone missing it allows the others one pod each.
        nodeTaintsPolicy: 'Honor',
      },
    ],
    tolerations: [leaveAfter('not-ready'), leaveAfter('unreachable')],
  };
}

/** Kubernetes waits 300 seconds by default before it replaces the pods of a dead node. */
const leaveAfter = (condition: 'not-ready' | 'unreachable'): k8s.Toleration => ({
  key: `node.kubernetes.io/${condition}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 30,
});
