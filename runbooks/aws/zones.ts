/** Leaving a zone in AWS: zonal shifts of load balancers and cluster, failovers of database and cache. */
import { DescribeReplicationGroupsCommand, TestFailoverCommand } from '@aws-sdk/client-elasticache';
import { RebootDBInstanceCommand } from '@aws-sdk/client-rds';
import type { Platform } from '../../lib/platform/platform.ts';
import type { StorePlace, Zones } from '../books/zone-evacuation.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { capacityOf, type Needs, raiseFloor } from './cluster-capacity.ts';
import type { Kubectl } from './kubectl.ts';
import { describeInstance } from './region-database.ts';
import { isReady, readPods, readWorkloads, zonesOfNodes } from './workloads.ts';
import { endShifts, isAway, loadBalancerArns, startShift, zoneIdOf } from './zonal-shifts.ts';

export interface ZonesPlace {
  readonly kubectl: Kubectl;
  readonly autoscaler: Platform['cluster']['autoscaler'];
  readonly needed: (region: string) => Needs;
  readonly zonesIn: (region: string) => number;
  readonly clusterArn: (region: string) => string;
  readonly loadBalancers: (region: string) => readonly string[];
  readonly databaseIn: (region: string) => string;
  readonly cache: string;
}

export function awsZones(clients: AwsClients, place: ZonesPlace): Zones {
  const { kubectl, cache, databaseIn } = place;
  const shifted = async (region: string, signal: AbortSignal): Promise<readonly string[]> => [
    ...(await loadBalancerArns(clients, region, place.loadBalancers(region), signal)),
    place.clusterArn(region),
  ];
  return {
    capacityWithout: async (region, zone, signal) => {
      const needed = place.needed(region);
      const [workloads, zones] = await Promise.all([
        readWorkloads(kubectl, region, signal),
        zonesOfNodes(kubectl, region, signal),
      ]);
      const asked = workloads.filter(({ metadata }) => metadata.name in needed);
      const elsewhere = await Promise.all(
        asked.map(async ({ metadata, ...workload }) => {
          const pods = await readPods(kubectl, region, workload, signal);
          const readyReplicas = pods.filter(
            (pod) => isReady(pod) && zones.get(pod.spec.nodeName ?? '') !== zone,
          ).length;
          return { metadata, status: { ...workload.status, readyReplicas } };
        }),
      );
      return capacityOf(elsewhere, needed);
    },
    raise: (region, _zone, _to, signal) => {
      // Pods are spread over all zones evenly: what stands outside of one is what all have, less that one's part.
      const zones = Math.max(2, place.zonesIn(region));
      const floors = Object.entries(place.needed(region)).map(([name, count]) => [
        name,
        Math.ceil((count * zones) / (zones - 1)),
      ]);
      return raiseFloor(kubectl, place.autoscaler, region, Object.fromEntries(floors), signal);
    },
    isShifted: async (region, zone, signal) => {
      const id = await zoneIdOf(clients, region, zone, signal);
      for (const arn of await shifted(region, signal)) {
        if (!(await isAway(clients, region, arn, id, signal))) return false;
      }
      return true;
    },
    shift: async (region, zone, minutes, token, signal) => {
      const zoneId = await zoneIdOf(clients, region, zone, signal);
      for (const resourceArn of await shifted(region, signal)) {
        if (await isAway(clients, region, resourceArn, zoneId, signal)) continue;
        await startShift(clients, region, { resourceArn, zoneId, minutes, comment: `holdfast ${token}` }, signal);
      }
    },
    endShift: async (region, zone, signal) => {
      const zoneId = await zoneIdOf(clients, region, zone, signal);
      for (const arn of await shifted(region, signal)) await endShifts(clients, region, arn, zoneId, signal);
    },
    placeOf: (store, region, signal) =>
      store === 'database'
        ? databasePlace(clients, region, databaseIn(region), signal)
        : cachePlace(clients, region, cache, signal),
    move: (store, region, _token, signal) =>
      store === 'database'
        ? moveDatabase(clients, region, databaseIn(region), signal)
        : moveCache(clients, region, cache, signal),
  };
}

async function databasePlace(
  clients: AwsClients,
  region: string,
  identifier: string,
  signal: AbortSignal,
): Promise<StorePlace | undefined> {
  const instance = await describeInstance(clients, region, identifier, signal);
  if (instance === undefined) return undefined;
  const { AvailabilityZone: zone = 'unknown', DBInstanceStatus: status } = instance;
  return { zone, isMoving: status === 'rebooting' || status === 'modifying' };
}

async function moveDatabase(clients: AwsClients, region: string, identifier: string, abortSignal: AbortSignal) {
  const instance = await describeInstance(clients, region, identifier, abortSignal);
  if (instance?.MultiAZ !== true) {
    throw new Error(
      `${identifier} has no second zone: make it Multi-AZ in peace; until then, region-failover leaves it`,
    );
  }
  try {
    await clients
      .rds(region)
      .send(new RebootDBInstanceCommand({ DBInstanceIdentifier: identifier, ForceFailover: true }), { abortSignal });
  } catch (error) {
    // It is on its way already, or is being changed: the look afterwards tells.
    if (!isNamed(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState')) throw error;
  }
}

async function cachePlace(
  clients: AwsClients,
  region: string,
  name: string,
  abortSignal: AbortSignal,
): Promise<StorePlace | undefined> {
  const found = await replicationGroup(clients, region, name, abortSignal);
  if (found === undefined) return undefined;
  const members = found.NodeGroups?.[0]?.NodeGroupMembers ?? [];
  const writer = members.find(({ CurrentRole: role }) => role === 'primary');
  return { zone: writer?.PreferredAvailabilityZone ?? 'unknown', isMoving: found.Status !== 'available' };
}

/** Its API calls it a test: it is the only way to move the writer where it fails over by itself, 15 times a day. */
async function moveCache(clients: AwsClients, region: string, name: string, abortSignal: AbortSignal): Promise<void> {
  const found = await replicationGroup(clients, region, name, abortSignal);
  const group = found?.NodeGroups?.[0]?.NodeGroupId;
  if (group === undefined) throw new Error(`ElastiCache knows no node group of ${name} in ${region}`);
  try {
    await clients
      .elastiCache(region)
      .send(new TestFailoverCommand({ ReplicationGroupId: name, NodeGroupId: group }), { abortSignal });
  } catch (error) {
    if (!isNamed(error, 'InvalidReplicationGroupStateFault', 'InvalidReplicationGroupState')) throw error;
  }
}

async function replicationGroup(clients: AwsClients, region: string, name: string, abortSignal: AbortSignal) {
  try {
    const { ReplicationGroups = [] } = await clients
      .elastiCache(region)
      .send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: name }), { abortSignal });
    return ReplicationGroups[0];
  } catch (error) {
    if (isNamed(error, 'ReplicationGroupNotFoundFault')) return undefined;
    throw error;
  }
}
