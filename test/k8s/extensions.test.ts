import { expect, it } from 'vitest';
import { checkFields, faultsOfValues, kindOf, moduleOf } from './extensions.ts';
import { at, type Manifest } from './manifests.ts';
import { distinctObjects } from './platforms.ts';

/** Kinds whose types and schemas nobody publishes in a package: nothing here says that their fields are right. */
const notVerified = [
  'barmancloud.cnpg.io/v1 ObjectStore',
  'chaos-mesh.org/v1alpha1 NetworkChaos',
  'chaos-mesh.org/v1alpha1 PodChaos',
  'eks.amazonaws.com/v1 TargetGroupBinding',
  'elbv2.k8s.aws/v1beta1 TargetGroupBinding',
  'karpenter.sh/v1 NodePool',
  'networking.gke.io/v1 MultiClusterIngress',
  'networking.gke.io/v1 MultiClusterService',
];

function isExtension(object: Manifest): boolean {
  const [group = ''] = String(object['apiVersion']).split('/');
  return group.includes('.') && (!group.endsWith('.k8s.io') || group === 'gateway.networking.k8s.io');
}

const extensions = distinctObjects().filter(isExtension);
const published = extensions.filter((object) => moduleOf(object) !== undefined);

it('every kind of an extension is checked, or named as not verified', () => {
  const others = extensions.filter((object) => moduleOf(object) === undefined).map(kindOf);
  expect([...new Set(others)].sort()).toEqual(notVerified);
  expect(published.length).toBeGreaterThan(20);
});

it('the extensions know every field of every manifest', async () => {
  await checkFields(published);
});

it('the extensions take every value of every manifest', async () => {
  expect(await faultsOfValues(published)).toEqual([]);
});

it('a misspelt field and a value of the wrong type are found', async () => {
  const [scaled] = published.filter(({ kind }) => kind === 'ScaledObject');
  const spec = Object(at(scaled, 'spec'));
  await expect(checkFields([{ ...scaled, spec: { ...spec, maxReplicas: 3 } }])).rejects.toThrow('maxReplicas');
  expect(await faultsOfValues([{ ...scaled, spec: { ...spec, maxReplicaCount: 'three' } }])).toHaveLength(1);
});
