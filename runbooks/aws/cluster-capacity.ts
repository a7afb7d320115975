/** Pods of gateway and agentgateway: how many are ready, and the least that the autoscaler keeps. */
import { kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { Capacity, RegionCapacity } from '../books/region-world.ts';
import type { Kubectl } from './kubectl.ts';
import { readWorkloads, type Workload } from './workloads.ts';

/** Pods by workload. */
export type Needs = Readonly<Record<string, number>>;

export interface CapacityPlace {
  readonly autoscaler: Platform['cluster']['autoscaler'];
  /** Pods that the load needs; all that are asked for must be ready. */
  readonly needed: (region: string) => Needs;
}

export function clusterCapacity(kubectl: Kubectl, { autoscaler, needed }: CapacityPlace): RegionCapacity {
  return {
    read: async (region, signal) => capacityOf(await readWorkloads(kubectl, region, signal), needed(region)),
    raise: (region, _to, signal) => raiseFloor(kubectl, autoscaler, region, needed(region), signal),
  };
}

/**
 * The gateway's autoscaler would take away again what `kubectl scale` adds, so its floor is raised, which stays until the
 * manifests are applied again. Its neighbours have no autoscaler.
 */
export async function raiseFloor(
  kubectl: Kubectl,
  autoscaler: CapacityPlace['autoscaler'],
  region: string,
  floors: Needs,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, count] of Object.entries(floors)) {
    await kubectl(region, floorCommand(autoscaler, name, count), signal);
  }
}

function floorCommand(autoscaler: CapacityPlace['autoscaler'], name: string, count: number): readonly string[] {
  if (name !== kubernetes.gateway) return ['scale', `deployment/${name}`, `--replicas=${count}`];
  // KEDA sets its own autoscaler back to what its object says.
  const [kind, spec] =
    autoscaler === 'keda'
      ? (['scaledobject', { minReplicaCount: count }] as const)
      : (['horizontalpodautoscaler', { minReplicas: count }] as const);
  return ['patch', kind, name, '--type=merge', `--patch=${JSON.stringify({ spec })}`];
}

/** Pure. Pods of one workload do not make up for those that another lacks. */
export function capacityOf(workloads: readonly Pick<Workload, 'metadata' | 'status'>[], needed: Needs): Capacity {
  const ready = new Map(workloads.map(({ metadata, status }) => [metadata.name, status.readyReplicas]));
  const wanted = Object.entries(needed);
  return {
    ready: wanted.reduce((sum, [name, count]) => sum + Math.min(count, ready.get(name) ?? 0), 0),
    needed: wanted.reduce((sum, [, count]) => sum + count, 0),
  };
}
