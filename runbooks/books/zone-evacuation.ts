/**
 * A zone is ill without being dead: packets are lost, disks are slow, health checks flap. Traffic leaves it, then whatever
 * stands in it and can move does.
 */
import type { Runbook, Step } from '../engine/step.ts';
import type { VerifiedWorld } from './region-world.ts';
import { verifyStep } from './steps/verify.ts';

export interface ZonePlan {
  readonly region: string;
  /** For example `us-east-1a`. */
  readonly zone: string;
  /** The shift ends by itself after this, so that a forgotten one does not cost capacity for ever. */
  readonly shiftMinutes: number;
}

export interface ZoneWorld extends VerifiedWorld {
  readonly zones: Zones;
}

/** What has exactly one place that takes writes, and can be told to move. */
export type PlacedStore = 'database' | 'cache';

export interface StorePlace {
  readonly zone: string;
  /** It is on its way to another one. */
  readonly isMoving: boolean;
}

export interface Zones {
  /** Pods that can serve outside of this zone, and how many the load needs. */
  capacityWithout(
    region: string,
    zone: string,
    signal: AbortSignal,
  ): Promise<{ readonly ready: number; readonly needed: number }>;
  raise(region: string, zone: string, to: number, signal: AbortSignal): Promise<void>;
  /** Whether a zonal shift away from this zone is in force, for load balancer and cluster. */
  isShifted(region: string, zone: string, signal: AbortSignal): Promise<boolean>;
  shift(region: string, zone: string, minutes: number, token: string, signal: AbortSignal): Promise<void>;
  endShift(region: string, zone: string, signal: AbortSignal): Promise<void>;
  /** Zone of the node that takes writes. Undefined = the region has no such store. */
  placeOf(store: PlacedStore, region: string, signal: AbortSignal): Promise<StorePlace | undefined>;
  /** Fails over to a node in another zone. */
  move(store: PlacedStore, region: string, token: string, signal: AbortSignal): Promise<void>;
}

type ZoneStep = Step<ZoneWorld>;

export function zoneEvacuation(plan: ZonePlan): Runbook<ZoneWorld> {
  const { region, zone } = plan;
  return {
    id: 'zone-evacuation',
    title: `Leave the zone ${zone}`,
    useWhen: [
      `${zone} is impaired: error rate or latency of what stands in it is worse than elsewhere, or AWS says so`,
      `maintenance will take ${zone} away`,
    ],
    doNotUseWhen: [
      'the zone is plainly dead: load balancer, Multi-AZ database and cache leave it by themselves',
      'several zones are ill: use region-failover',
      'autoshift has shifted it already: this finds that done, there is no need for it',
    ],
    lookFirst: [
      {
        command: 'kubectl --context ' + region + ' -n holdfast get pods -o wide',
        expect: 'pods of one zone restart or are unready, those of the others are not',
      },
      {
        command: `aws arc-zonal-shift list-zonal-shifts --region ${region} --status ACTIVE`,
        expect: 'no shift is in force',
      },
    ],
    takes: 'traffic leaves within minutes of the shift; each store moves in about a minute',
    harms: `requests that ${zone} serves while it is left: load balancers let them end. Spend and changes of keys wait for about a minute while the database moves`,
    afterwards: [
      `when ${zone} is well: \`npx holdfast runbook undo RUN\` ends the shift; by itself it ends after ${plan.shiftMinutes} minutes, ill or well`,
    ],
    recoveredBy: 'shift',
    steps: [
      capacityWithout(plan),
      shift(plan),
      move(plan, 'database'),
      move(plan, 'cache'),
      verifyStep({ region, write: false }),
    ],
  };
}

const capacityWithout = ({ region, zone }: ZonePlan): ZoneStep => ({
  id: 'capacity',
  title: `Make the other zones of ${region} large enough`,
  words: {
    check: `are as many pods ready outside of ${zone} as the load needs?`,
    act: 'raise the number of pods; the spread over zones puts enough of the new ones elsewhere',
    commands: [
      `kubectl --context ${region} -n holdfast get pods -o wide   # and: kubectl get nodes -L topology.kubernetes.io/zone`,
      `kubectl --context ${region} -n holdfast patch hpa gateway -p '{"spec":{"minReplicas":NEEDED}}'`,
    ],
    canGoWrong: [
      'nodes are not to be had in the other zones: go on only if the zone is worse than too little capacity',
    ],
  },
  patienceSeconds: 300,
  check: async (world, { signal }) => {
    const { ready, needed } = await world.zones.capacityWithout(region, zone, signal);
    return { is: ready >= needed ? 'done' : 'ready', note: `${ready} of ${needed} pods are ready elsewhere` };
  },
  act: async (world, { signal }) => {
    const { needed } = await world.zones.capacityWithout(region, zone, signal);
    await world.zones.raise(region, zone, needed, signal);
  },
  undo: { stays: 'too many pods harm nobody; the floor is lowered again when the manifests are applied the next time' },
});

const shift = ({ region, zone, shiftMinutes }: ZonePlan): ZoneStep => ({
  id: 'shift',
  title: `Shift traffic away from ${zone}`,
  words: {
    check: `is a zonal shift away from ${zone} in force?`,
    act: `start a zonal shift of load balancer and cluster for ${shiftMinutes} minutes`,
    commands: [
      `aws ec2 describe-availability-zones --region ${region} --zone-names ${zone} --query 'AvailabilityZones[].ZoneId'`,
      `# Once for each: both load balancers (aws elbv2 describe-load-balancers) and the cluster (aws eks describe-cluster)`,
      `aws arc-zonal-shift start-zonal-shift --region ${region} --resource-identifier ARN --away-from ZONE-ID --expires-in ${shiftMinutes}m --comment evacuation`,
    ],
    canGoWrong: [
      'a practice run holds a shift of another zone: end it first, two shifts halve the region',
      `the zone is well again: take the run back, which ends the shift; forgotten, it ends after ${shiftMinutes} minutes`,
      `the zone is still ill then: run this again, or aws arc-zonal-shift update-zonal-shift --expires-in ${shiftMinutes}m`,
    ],
  },
  patienceSeconds: 120,
  confirm: zone,
  check: async (world, { signal }) => ({ is: (await world.zones.isShifted(region, zone, signal)) ? 'done' : 'ready' }),
  act: (world, { signal, token }) => world.zones.shift(region, zone, shiftMinutes, token, signal),
  undo: (world, { signal }) => world.zones.endShift(region, zone, signal),
});

const move = ({ region, zone }: ZonePlan, store: PlacedStore): ZoneStep => ({
  id: store,
  title: `Move the ${store}'s writer out of ${zone}`,
  words: {
    check: `in which zone does the ${store}'s writer stand?`,
    act:
      store === 'database' ? 'reboot it with a failover to its other zone' : 'fail over to a replica in another zone',
    commands:
      store === 'database'
        ? [`aws rds reboot-db-instance --region ${region} --db-instance-identifier DATABASE --force-failover`]
        : [
            `aws elasticache test-failover --region ${region} --replication-group-id CACHE --node-group-id 0001   # 15 a day at most`,
          ],
    canGoWrong: [
      store === 'database'
        ? 'control-plane writes and spend wait for about a minute; requests are served meanwhile'
        : 'cooldowns and rate windows are forgotten; nothing of money is in the cache',
    ],
  },
  patienceSeconds: 600,
  check: async (world, { signal }) => {
    const place = await world.zones.placeOf(store, region, signal);
    if (place === undefined) return { is: 'done', note: `there is no ${store} here` };
    if (place.isMoving) return { is: 'underway', note: `the ${store} is moving` };
    return { is: place.zone === zone ? 'ready' : 'done', note: `it stands in ${place.zone}` };
  },
  act: (world, { signal, token }) => world.zones.move(store, region, token, signal),
  undo: { stays: 'moving it back would interrupt writes once more, and it may stand anywhere' },
});
