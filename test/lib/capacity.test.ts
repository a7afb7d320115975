import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { stackName } from '../../lib/platform/names.ts';
import { gatewayNode, nodesFor } from '../../lib/platform/nodes.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { at, find, listAt, objectsOf } from '../k8s/manifests.ts';
import { differences, resolveTemplate } from './resolve-template.ts';
import { brought, specOf } from './specs.ts';
import { stackNamed, synthesize } from './synthesize.ts';

describe.each(shipped.regions)('DesiredCapacity of $region', ({ region, availabilityZones }) => {
  const { template } = stackNamed(synthesize(shipped).stacks, stackName(shipped, region, 'cluster'));
  const resourcesAt = (desired: string): Record<string, { Properties?: Record<string, unknown> }> =>
    Object(resolveTemplate(template, { DesiredCapacity: desired })).Resources;
  const kept = (desired: string) =>
    Object.values(resourcesAt(desired))
      .map(({ Properties }) => Properties ?? {})
      .filter((properties) => 'InstanceMatchCriteria' in properties);

  test('keeps nothing, and costs nothing, until somebody asks', () => {
    expect(template.Parameters['DesiredCapacity']).toMatchObject({ Type: 'Number', Default: '0' });
    expect(kept('0')).toEqual([]);
  });

  test('keeps that many nodes in every zone, for whatever node is started there', () => {
    expect(kept('2').map((properties) => properties['AvailabilityZone'])).toEqual(availabilityZones);
    for (const properties of kept('2')) {
      expect(properties).toMatchObject({
        InstanceType: gatewayNode.instanceType,
        InstanceMatchCriteria: 'open',
        InstanceCount: '2',
        EndDateType: 'unlimited',
      });
    }
  });

  test('changes the number in place and nothing else: no role, no node, no replacement', () => {
    const changed = differences(resourcesAt('1'), resourcesAt('3'));
    expect(changed).toHaveLength(availabilityZones.length);
    for (const line of changed) expect(line).toMatch(/^ReservedNodes[abc]\w+\.Properties\.InstanceCount: "1" -> "3"$/);
  });
});

test('the cluster asks for the type that is kept, and for any other when it is not to be had', () => {
  const objects = objectsOf(shipped, 'us-west-2');
  const pool = find(objects, 'NodePool', 'holdfast-gateway');
  expect(listAt(pool, 'spec.template.spec.requirements')).toContainEqual({
    key: 'node.kubernetes.io/instance-type',
    operator: 'In',
    values: [gatewayNode.instanceType],
  });
  expect(Number(at(pool, 'spec.weight'))).toBeGreaterThan(0);
});

test('a cluster that was brought along has no such parameter and no pool of ours, and a number for it is refused', () => {
  const spec = specOf('high', 'active-passive', 2);
  const regions = spec.regions.map((region) => ({ ...region, ...brought }));
  const platform = definePlatform({ ...spec, regions });
  const { template } = stackNamed(synthesize(platform).stacks, stackName(platform, 'us-west-2', 'cluster'));
  expect(Object.keys(template.Parameters)).toEqual([]);
  expect(objectsOf(platform, 'us-west-2').filter(({ kind }) => kind === 'NodePool')).toEqual([]);
  const wrong = regions.map((region) => ({ ...region, reservedNodesPerZone: -1 }));
  expect(() => definePlatform({ ...spec, regions: wrong })).toThrow(
    /reservedNodesPerZone: -1 must be a whole number[^]*the cluster was brought along/,
  );
});

test.each([
  [3, 3, 3],
  [2, 3, 3],
  [7, 3, 4],
  [20, 2, 10],
])('%i gateways in %i zones need %i nodes', (gateways, zones, nodes) => {
  expect(nodesFor(gateways, zones)).toBe(nodes);
});
