import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { at, find, listAt, type Manifest, objectsOf } from './manifests.ts';
import { ofTier } from './platforms.ts';

const platform = ofTier('high', { kind: 'generic', addons: ['postgres'] });
const [old, now] = ['us-east-1', 'us-west-2'].map((region) => objectsOf(platform, region));
const [oldName, newName] = ['postgres-us-east-1', 'postgres-us-west-2'] as const;

describe('a database of one’s own in two regions', () => {
  it('has one form in both: who writes is one field, and each can follow the other', () => {
    for (const [objects, self] of [
      [old, oldName],
      [now, newName],
    ] as const) {
      const cluster = find(objects ?? [], 'Cluster');
      expect(at(cluster, 'spec.replica')).toEqual({ self, primary: oldName, source: oldName });
      expect(listAt(cluster, 'spec.externalClusters').map((other) => at(other, 'name'))).toEqual([oldName, newName]);
      const archives = (objects ?? []).filter(({ kind }) => kind === 'ObjectStore');
      expect(archives.map((archive) => at(archive, 'metadata.name'))).toEqual([oldName, newName]);
    }
  });

  it('in one region alone has nobody to follow and nothing to guard', () => {
    const alone = objectsOf(ofTier('standard', { kind: 'generic', addons: ['postgres'] }), 'us-east-1');
    expect(at(find(alone, 'Cluster'), 'spec')).not.toHaveProperty('replica');
    expect(alone.map(({ kind }) => kind)).not.toContain('ValidatingAdmissionPolicy');
  });
});

describe('the guard of the role', () => {
  const policy = find(now ?? [], 'ValidatingAdmissionPolicy');
  const cluster = find(now ?? [], 'Cluster', newName);
  const annotation = 'holdfast/database-writer';

  const changed = (from: Manifest, primary: string, writer?: string): Manifest => {
    const metadata = Object(at(from, 'metadata'));
    const annotations = writer === undefined ? metadata.annotations : { ...metadata.annotations, [annotation]: writer };
    return {
      ...from,
      metadata: annotations === undefined ? metadata : { ...metadata, annotations },
      spec: { ...Object(at(from, 'spec')), replica: { ...Object(at(from, 'spec.replica')), primary } },
    };
  };

  /** The expression, with CEL's `has` and `==` in JavaScript's words; the rest of it is written alike in both. */
  const evaluate = (expression: unknown, before: Manifest, after: Manifest): boolean => {
    const words = z
      .string()
      .parse(expression)
      .replaceAll(/has\(([^)]*)\)/g, (_all, path: string) => `(${path.replaceAll('.', '?.')} !== undefined)`)
      .replaceAll(' == ', ' === ');
    return z.boolean().parse(runInNewContext(words, { object: after, oldObject: before }, { timeout: 1_000 }));
  };
  const lets = (before: Manifest, after: Manifest): boolean =>
    listAt(policy, 'spec.matchConditions').some((condition) => !evaluate(at(condition, 'expression'), before, after)) ||
    evaluate(at(policy, 'spec.validations.0.expression'), before, after);

  const promoted = changed(cluster, newName, newName);

  it('lets a promotion and everything else through', () => {
    expect(lets(cluster, promoted)).toBe(true);
    expect(lets(cluster, { ...cluster, spec: { ...Object(at(cluster, 'spec')), instances: 5 } })).toBe(true);
    expect(lets(promoted, changed(promoted, oldName, oldName)), 'the way back').toBe(true);
    const single = { ...cluster, spec: { instances: 3 } };
    expect(lets(single, cluster), 'a second region is added').toBe(true);
  });

  it('refuses manifests of the time before a promotion, merged or put in place', () => {
    expect(lets(promoted, changed(promoted, oldName)), 'kubectl apply keeps the annotation').toBe(false);
    expect(lets(promoted, cluster), 'kubectl replace does not').toBe(false);
    const withoutRole = { ...promoted, spec: { instances: 3 } };
    expect(lets(promoted, withoutRole), 'a region that forgets the others').toBe(false);
  });

  it('stands before the databases of this namespace, and fails closed', () => {
    expect(at(policy, 'spec.failurePolicy')).toBe('Fail');
    const binding = find(now ?? [], 'ValidatingAdmissionPolicyBinding');
    expect(at(binding, 'spec')).toEqual({
      policyName: at(policy, 'metadata.name'),
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'holdfast' } } },
    });
  });
});
