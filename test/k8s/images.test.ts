import { describe, expect, it } from 'vitest';
import type { Platform } from '../../lib/platform/platform.ts';
import { versions } from '../../lib/platform/versions.ts';
import { at, listAt, migrationOf, objectsOf, podTemplate } from './manifests.ts';
import { ofTier, variants } from './platforms.ts';

const digest = `sha256:${'c'.repeat(64)}`;

const imagesOf = (objects: readonly Readonly<Record<string, unknown>>[]): string[] =>
  objects.flatMap((object) => [
    ...['initContainers', 'containers'].flatMap((kind) =>
      listAt(podTemplate(object), `spec.${kind}`).map((container) => String(at(container, 'image'))),
    ),
    ...(at(object, 'spec.imageName') === undefined ? [] : [String(at(object, 'spec.imageName'))]),
  ]);

describe('images', () => {
  const all = new Set(
    variants.flatMap(({ platform }) => platform.regions.flatMap(({ region }) => imagesOf(objectsOf(platform, region)))),
  );

  it('are those that were reviewed, today and tomorrow: by digest or by an exact version', () => {
    expect(all.size).toBeGreaterThan(12);
    for (const image of all) expect(image).toMatch(/@sha256:[0-9a-f]{64}$|:v?\d+\.\d+[\w.-]*$/);
  });

  it('of PostgreSQL’s tools are as new as the server, which refuses to be dumped by older ones', () => {
    expect([...all]).toContain(`docker.io/library/postgres:${versions.postgres.full}`);
  });

  it('come from a registry of one’s own where the platform says so', () => {
    const vault = `registry.example.com/vault@${digest}`;
    const platform = ofTier('high', { addons: ['vault'], images: { vault } });
    const used = imagesOf(objectsOf(platform, 'us-east-1')).filter((image) => image.includes('vault'));
    expect(new Set(used)).toEqual(new Set([vault]));
  });

  it.each(['vault', 'vault:latest', 'vault:1', 'registry.example.com:5000/vault'])(
    'that may change are refused by name: %s',
    (vault) => {
      expect(() => ofTier('high', { images: { vault } })).toThrow(
        `cluster.images.vault: "${vault}" may be another image`,
      );
    },
  );
});

describe('the gateway’s image', () => {
  const imageDigest = digest;
  const own = { ...ofTier('high'), imageDigest };

  it('comes by its digest from the registry of the region that runs it, where the platform gives the digest', () => {
    for (const { region } of own.regions) {
      const used = imagesOf(objectsOf(own, region)).filter((image) => image.includes('gateway'));
      const image = `111111111111.dkr.ecr.${region}.amazonaws.com/holdfast-production/gateway@${digest}`;
      expect(new Set(used)).toEqual(new Set([image]));
      expect(used.length).toBeGreaterThan(1);
    }
  });

  it('has a migration of its own for each digest', () => {
    const nameOf = (platform: Platform): unknown => at(migrationOf(objectsOf(platform, 'us-east-1')), 'metadata.name');
    expect(nameOf(own)).not.toBe(nameOf({ ...own, imageDigest: `sha256:${'d'.repeat(64)}` }));
  });

  it('is refused by what is no digest, and where a region has no registry', () => {
    expect(() => ofTier('high', {}, { imageDigest: 'sha256:abc' })).toThrow(
      'imageDigest: "sha256:abc" is not a digest',
    );
    expect(() => ofTier('high', { kind: 'gke' }, { imageDigest })).toThrow('imageDigest: only regions on "eks"');
  });
});

describe('the store of backups', () => {
  it('is an address, and not said on EKS', () => {
    expect(() => ofTier('high', { kind: 'generic', objectStoreUrl: 'minio' })).toThrow(
      'cluster.objectStoreUrl: "minio"',
    );
    expect(() => ofTier('high', { objectStoreUrl: 'https://minio.storage:9000' })).toThrow('on "eks" backups go to S3');
  });
});
