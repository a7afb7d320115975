import { describe, expect, it } from 'vitest';
import { gatewayImage, kubernetes, ports } from '../../lib/platform/names.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import { platformFrom } from '../../runbooks/region/platform-file.ts';
import { spec } from '../lib/specs.ts';
import { at, find, listAt, type Manifest, objectsOf } from './manifests.ts';
import { mayEnter, mayLeave } from './network.ts';
import { everyRegion, ofTier, variants } from './platforms.ts';

const region = 'us-west-2';
const isWatched = (platform: Platform, name = platform.primary.region): boolean =>
  objectsOf(platform, name).some((object) => at(object, 'metadata.name') === kubernetes.regionWatch);

describe('the watch of a region', () => {
  const platform = ofTier('high', { addons: ['monitoring'] });
  const objects = objectsOf(platform, region);
  const named = (kind: string): Manifest => find(objects, kind, kubernetes.regionWatch);
  const pod = at(named('Deployment'), 'spec.template');
  const container = at(pod, 'spec.containers.0');

  it('runs where a region may take over in AWS, in every one of them, unless it is switched off', () => {
    expect(platform.regions.map((one) => isWatched(platform, one.region))).toEqual([true, true]);
    expect(isWatched(ofTier('high', { regionWatch: false }))).toBe(false);
    expect(isWatched(ofTier('standard'))).toBe(false);
    expect(isWatched(ofTier('high', { kind: 'generic' }))).toBe(false);
    expect(() => ofTier('standard', { regionWatch: true })).toThrow('cluster.regionWatch: it asks AWS');
    expect(() => ofTier('high', { kind: 'gke', regionWatch: true })).toThrow('cluster.regionWatch: it asks AWS');
  });

  it('gets no Secret, and reads what runs in its namespace and nothing else of Kubernetes', () => {
    expect(at(container, 'image')).toBe(gatewayImage(platform, platform.primary));
    expect(JSON.stringify(pod)).not.toMatch(/secret(Ref|KeyRef|Name)/);
    expect(at(pod, 'spec.serviceAccountName')).toBe(kubernetes.regionWatch);
    expect(at(named('Role'), 'rules')).toEqual([
      { apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: ['list'] },
    ]);
    expect(at(named('RoleBinding'), 'subjects')).toEqual([
      { kind: 'ServiceAccount', name: kubernetes.regionWatch, namespace: kubernetes.namespace },
    ]);
  });

  it('is read by Prometheus, its series keep the region that they speak of, and it reaches whom it asks', () => {
    expect(at(named('ServiceMonitor'), 'spec.endpoints.0')).toMatchObject({ path: '/metrics', honorLabels: true });
    const labels = at(pod, 'metadata.labels');
    const may = (address: string, port: number): boolean => mayLeave(objects, { labels, peer: { address }, port });
    expect(may('203.0.113.9', 443), 'AWS, and the names of the regions').toBe(true);
    expect(may('10.1.0.1', 443), 'the Kubernetes API').toBe(true);
    expect(may('169.254.170.23', 80), 'its rights in AWS').toBe(true);
    expect(may('10.1.9.9', ports.postgres), 'a database').toBe(false);
    const prometheus = { namespace: 'monitoring', labels: { app: 'prometheus' } };
    expect(mayEnter(objects, { labels, peer: prometheus, port: ports.regionWatch })).toBe(true);
    expect(mayEnter(objects, { labels, peer: prometheus, port: 4000 })).toBe(false);
  });

  it('has a new pod when the description changes', () => {
    const hash = (of: Platform): unknown =>
      at(find(objectsOf(of, region), 'Deployment', kubernetes.regionWatch), 'spec.template.metadata.annotations');
    expect(hash(platform)).not.toEqual(hash(ofTier('high', { addons: ['monitoring', 'backup'] })));
    expect(listAt(container, 'volumeMounts')).toHaveLength(1);
  });
});

describe('the description that the watch reads', () => {
  const platforms = [
    ...new Set([...everyRegion, ...variants].map(({ platform }) => platform)),
    definePlatform(spec({ operations: { onCall: { rotation: 'a', since: '2026-11-01' }, nextDrill: '2027-01-15' } })),
  ];

  it('is the platform itself, whatever it has', () => {
    for (const platform of platforms) expect(platformFrom(JSON.stringify(platform))).toEqual(platform);
  });

  it('that is none of this version is refused with every fault, each by its field', () => {
    const { tier, ...rest } = ofTier('high');
    const text = JSON.stringify({ ...rest, tier: { ...tier, rpoSeconds: '900' }, domain: undefined });
    expect(() => platformFrom(text)).toThrow(/tier\.rpoSeconds: [^]*domain: |domain: [^]*tier\.rpoSeconds: /);
    expect(() => platformFrom('{')).toThrow('it is no JSON');
    expect(() => platformFrom(JSON.stringify({ ...rest, tier, regions: [] }))).toThrow('one of them is the primary');
  });
});
