import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { TierName } from '../../lib/platform/spec.ts';
import { at, find, numberAt, objectsOf } from './manifests.ts';
import { byZone, drain, placeAll, placeOne, type SimulatedNode, type SpreadRule } from './scheduling.ts';

const ruleSchema = z.object({ maxSkew: z.number(), nodeTaintsPolicy: z.enum(['Honor', 'Ignore']) });

/** The rule, the budget and the number of pods as the manifests of a region with so many replicas have them. */
function region(tier: TierName, gatewayReplicas: number) {
  const platform = definePlatform({
    name: 'holdfast',
    environment: 'production',
    account: '111111111111',
    domain: 'gateway.example.com',
    hostedZone: { name: 'example.com' },
    tier,
    topology: 'active-passive',
    regions: [
      { region: 'us-east-1', role: 'primary', zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16', gatewayReplicas },
      { region: 'us-west-2', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16' },
    ],
    ...(tier === 'critical' && { witnessRegion: 'us-east-2' }),
    image: 'gateway:1',
  });
  const objects = objectsOf(platform, 'us-east-1');
  const workload = find(objects, tier === 'critical' ? 'StatefulSet' : 'Deployment', 'gateway');
  return {
    rule: ruleSchema.parse(at(workload, 'spec.template.spec.topologySpreadConstraints.0')),
    minAvailable: numberAt(find(objects, 'PodDisruptionBudget', 'gateway'), 'spec.minAvailable'),
    pods: numberAt(find(objects, 'HorizontalPodAutoscaler', 'gateway'), 'spec.minReplicas'),
  };
}

const nodesOf = (perZone: readonly number[]): SimulatedNode[] =>
  perZone.flatMap((count, zone) =>
    Array.from({ length: count }, (_, index) => ({ name: `${zone}-${index}`, zone: String(zone), schedulable: true })),
  );

const skew = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts);

const cases = [3, 4, 6, 20].flatMap((replicas) =>
  (['high', 'critical'] as const).flatMap((tier) =>
    [
      [1, 1, 1],
      [2, 2, 2],
      [3, 1, 2],
    ].map((perZone) => ({ replicas, tier, perZone })),
  ),
);

describe.each(cases)(
  '$replicas gateways of tier $tier on $perZone nodes in three zones',
  ({ replicas, tier, perZone }) => {
    const { rule, minAvailable, pods } = region(tier, replicas);
    const nodes = nodesOf(perZone);
    const placed = placeAll(nodes, [], rule, pods);

    it('all run, and zones differ by one at most', () => {
      expect(placed).toHaveLength(pods);
      expect(skew(byZone(nodes, placed))).toBeLessThanOrEqual(1);
    });

    it('stay within the budget when any node is drained, and stand evenly again afterwards', () => {
      for (const { name, zone } of nodes) {
        const after = drain(nodes, placed, rule, { node: name, minAvailable });
        expect(after.done, name).toBe(true);
        expect(after.fewest, name).toBeGreaterThanOrEqual(minAvailable);
        // Pods of a StatefulSet are bound to their zone: without another node in it they wait, which the model leaves out.
        const movable = tier === 'high' || nodes.filter((node) => node.zone === zone).length > 1;
        if (movable) {
          expect(after.placed, name).toHaveLength(pods);
          expect(skew(byZone(after.nodes, after.placed)), name).toBeLessThanOrEqual(1);
        }
      }
    });

    it('keep the budget when any zone is lost, and those that may move all find a place in the others', () => {
      for (const lost of new Set(nodes.map(({ zone }) => zone))) {
        const left = nodes.map((node) => (node.zone === lost ? { ...node, schedulable: false } : node));
        const survivors = placed.filter((node) => nodes.some(({ name, zone }) => name === node && zone !== lost));
        expect(survivors.length, lost).toBeGreaterThanOrEqual(minAvailable);
        if (tier === 'high') {
          const after = placeAll(left, survivors, rule, pods);
          expect(after, lost).toHaveLength(pods);
          expect(skew(byZone(left, after)), lost).toBeLessThanOrEqual(1);
        }
      }
    });
  },
);

describe('the rule is what keeps the balance', () => {
  const nodes = nodesOf([2, 2, 2]);
  const loose: SpreadRule = { maxSkew: 5, nodeTaintsPolicy: 'Honor' };

  it('a looser one lets the worst scheduler fill a zone', () => {
    expect(skew(byZone(nodes, placeAll(nodes, [], loose, 6)))).toBeGreaterThan(1);
  });

  it('a lost zone that still counts would keep replacements from starting', () => {
    const left = nodes.map((node) => (node.zone === '0' ? { ...node, schedulable: false } : node));
    expect(placeOne(left, ['1-0', '2-0'], { maxSkew: 1, nodeTaintsPolicy: 'Ignore' })).toBeUndefined();
    expect(placeOne(left, ['1-0', '2-0'], { maxSkew: 1, nodeTaintsPolicy: 'Honor' })).toBeDefined();
  });

  it('one pod a zone, as required anti-affinity has it, would stop at three', () => {
    const zones = new Set(nodes.map(({ zone }) => zone));
    expect(zones.size).toBe(3);
    expect(placeAll(nodes, [], { maxSkew: 1, nodeTaintsPolicy: 'Honor' }, 20)).toHaveLength(20);
  });
});
