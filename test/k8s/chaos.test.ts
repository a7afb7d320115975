import { describe, expect, it } from 'vitest';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { ClusterSpec } from '../../lib/platform/platform.ts';
import { at, listAt, type Manifest, objectsOf, podTemplate } from './manifests.ts';
import { ofTier } from './platforms.ts';

const region = 'us-east-1';
const objectsWith = (cluster: ClusterSpec): Manifest[] => objectsOf(ofTier('high', cluster), region);
const partitions = (objects: readonly Manifest[]): Manifest[] =>
  objects.filter((object) => object.kind === 'NetworkChaos' && at(object, 'spec.action') === 'partition');

describe('the partition from the database', () => {
  it.each([
    ['RDS alone', { addons: ['drills'] }, [], [`10.0.0.0/16:${ports.postgres}`]],
    ['RDS behind PgBouncer', { addons: ['drills', 'pgbouncer'] }, ['pgbouncer'], [`10.0.0.0/16:${ports.postgres}`]],
    [
      'a database of one’s own behind PgBouncer',
      { kind: 'generic', addons: ['drills', 'pgbouncer', 'postgres'] },
      ['pgbouncer', 'postgres'],
      [],
    ],
    [
      'Cloud SQL',
      { kind: 'gke', addons: ['drills'] },
      [],
      ['10.0.0.0/8:3307', '172.16.0.0/12:3307', '192.168.0.0/16:3307'],
    ],
  ] as const)('cuts every way to %s', (_what, cluster, components, outside) => {
    const objects = objectsWith(cluster);
    const found = partitions(objects);
    const meant = found.flatMap((object) => listAt(object, 'spec.target.selector.expressionSelectors.0.values'));
    expect(meant).toEqual(components);
    expect(found.flatMap((object) => listAt(object, 'spec.externalTargets'))).toEqual(outside);
    const made = objects.map(
      (object) =>
        Object(at(podTemplate(object), 'metadata.labels') ?? at(object, 'spec.inheritedMetadata.labels'))[
          'app.kubernetes.io/component'
        ],
    );
    for (const component of meant) expect(made).toContain(component);
  });

  it('never takes names, the cache or the load balancer away: a range is cut at one port', () => {
    for (const kind of ['eks', 'gke', 'generic'] as const) {
      for (const object of partitions(objectsWith({ kind, addons: ['drills'] }))) {
        for (const target of listAt(object, 'spec.externalTargets')) expect(target).toMatch(/\/\d+:\d+$/);
      }
    }
  });
});

it('every experiment ends by itself and touches the gateways alone', () => {
  const objects = objectsWith({ addons: ['drills', 'pgbouncer'] });
  const experiments = objects.filter(({ apiVersion }) => apiVersion === 'chaos-mesh.org/v1alpha1');
  expect(experiments).toHaveLength(4);
  for (const experiment of experiments) {
    expect(at(experiment, 'spec.duration')).toMatch(/^\d+[sm]$/);
    expect(at(experiment, 'spec.selector.namespaces')).toEqual([kubernetes.namespace]);
    const labels = Object(at(experiment, 'spec.selector.labelSelectors'));
    expect(labels['app.kubernetes.io/component']).toBe('gateway');
  }
});
