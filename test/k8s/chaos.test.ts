import { describe, expect, it } from 'vitest';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { ClusterSpec } from '../../lib/platform/spec.ts';
import { at, find, listAt, type Manifest, objectsOf, podTemplate } from './manifests.ts';
import { mayLeave } from './network.ts';
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

describe('AWS FIS, which deletes pods by a pod of its own,', () => {
  const objects = objectsWith({ addons: ['drills', 'pgbouncer'] });
  const named = (kind: string): Manifest => find(objects, kind, kubernetes.faultInjection);

  it('has rights in the namespace alone, for its service account and for the user that the access entry makes of its role', () => {
    expect(listAt(named('Role'), 'rules').flatMap((rule) => listAt(rule, 'resources'))).toEqual([
      'configmaps',
      'pods',
      'deployments',
    ]);
    const whom = listAt(named('RoleBinding'), 'subjects').map((subject) => at(subject, 'name'));
    expect(whom).toEqual([kubernetes.faultInjection, kubernetes.faultInjectionUser]);
    expect(at(named('ServiceAccount'), 'metadata.namespace')).toBe(kubernetes.namespace);
  });

  it('reaches the Kubernetes API, as none of our own pods does by its rule', () => {
    const peer = { address: '10.0.9.9' };
    expect(mayLeave(objects, { labels: { 'made-by': 'aws' }, peer, port: 443 })).toBe(true);
    expect(mayLeave(objects, { labels: { 'made-by': 'aws' }, peer, port: ports.postgres })).toBe(false);
    const pooler = Object(at(find(objects, 'Deployment', 'pgbouncer'), 'spec.template.metadata.labels'));
    expect(mayLeave(objects, { labels: pooler, peer, port: 443 })).toBe(false);
  });

  it('is let in on EKS with drills alone', () => {
    for (const cluster of [{}, { kind: 'generic', addons: ['drills'] }] as const) {
      const roles = objectsWith(cluster).filter(({ kind }) => kind === 'Role');
      expect(roles.map((role) => at(role, 'metadata.name'))).not.toContain(kubernetes.faultInjection);
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
