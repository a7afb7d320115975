import { describe, expect, it } from 'vitest';
import { at, find, listAt, numberAt, objectsOf } from './manifests.ts';
import { ofTier } from './platforms.ts';

describe('a model of one’s own on EKS', () => {
  const objects = objectsOf(ofTier('high', { addons: ['vllm'] }), 'us-east-1');
  const pool = find(objects, 'NodePool', 'holdfast-gpu');
  const pod = at(find(objects, 'Deployment', 'vllm'), 'spec.template.spec');

  it('gets nodes with GPUs, which take no other pod', () => {
    const [taint, ...others] = listAt(pool, 'spec.template.spec.taints');
    expect(others).toEqual([]);
    expect(listAt(pod, 'tolerations')).toContainEqual({
      key: at(taint, 'key'),
      operator: 'Exists',
      effect: at(taint, 'effect'),
    });
    const keys = listAt(pool, 'spec.template.spec.requirements').map((requirement) => at(requirement, 'key'));
    expect(keys).toContain('eks.amazonaws.com/instance-gpu-count');
    expect(Object(at(pod, 'containers.0.resources.limits'))['nvidia.com/gpu']).toBe('1');
  });

  it('gets as many as the autoscaler may ask for while a release rolls out, and no more', () => {
    const most = numberAt(find(objects, 'ScaledObject', 'vllm'), 'spec.maxReplicaCount');
    expect(Number(Object(at(pool, 'spec.limits'))['nvidia.com/gpu'])).toBe(most + 1);
  });
});

it('elsewhere the cluster’s owner has the nodes', () => {
  const objects = objectsOf(ofTier('high', { kind: 'generic', addons: ['vllm'] }), 'us-east-1');
  expect(objects.filter(({ kind }) => kind === 'NodePool')).toEqual([]);
});
