/**
 * The same manifests for kustomize: the primary's as base, every other region as an overlay that says only what differs.
 * In a folder beside the regions', since `kubectl apply -f` on a region's folder must find nothing but objects in it.
 */
import { basename } from 'node:path';
import { Yaml } from 'cdk8s';
import { difference } from './difference.ts';
import type { ManifestObject } from './manifest-files.ts';

/** A region's objects, by file: `us-east-1/20-gateway.yaml`. */
export type RegionFiles = ReadonlyMap<string, readonly ManifestObject[]>;

/** Texts by path, without the mark of their first line. Files in folders within a region (drills) are left out. */
export function kustomizeFiles(primary: RegionFiles, others: ReadonlyMap<string, RegionFiles>): Map<string, string> {
  const base = topLevel(primary);
  const files = new Map<string, string>();
  for (const [name, objects] of base) files.set(`kustomize/base/${name}`, Yaml.stringify(...objects));
  files.set('kustomize/base/kustomization.yaml', kustomization({ resources: [...base.keys()] }));
  for (const [region, own] of others) {
    const { added, removed, changed } = difference(objectsOf(base), objectsOf(topLevel(own)));
    const folder = `kustomize/overlays/${region}`;
    if (added.length > 0) files.set(`${folder}/added.yaml`, Yaml.stringify(...added));
    const patches = [
      ...removed.map((object) => ({ patch: Yaml.stringify({ ...headOf(object), $patch: 'delete' }) })),
      ...changed.map(({ object, fields }) => ({ target: targetOf(object), patch: JSON.stringify(fields, null, 2) })),
    ];
    const resources = ['../../base', ...(added.length > 0 ? ['added.yaml'] : [])];
    files.set(`${folder}/kustomization.yaml`, kustomization({ resources, patches }));
  }
  return files;
}

const topLevel = (files: RegionFiles): Map<string, readonly ManifestObject[]> =>
  new Map(
    [...files].filter(([path]) => path.split('/').length === 2).map(([path, objects]) => [basename(path), objects]),
  );

const objectsOf = (files: ReadonlyMap<string, readonly ManifestObject[]>): ManifestObject[] =>
  [...files.values()].flat();

const kustomization = (fields: {
  readonly resources: readonly string[];
  readonly patches?: readonly unknown[];
}): string =>
  Yaml.stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    // In the order of the files: kustomize would sort by kind and start the gateway before the migration.
    sortOptions: { order: 'fifo' },
    ...fields,
  });

const headOf = ({ apiVersion, kind, metadata: { name, namespace } }: ManifestObject) => ({
  apiVersion,
  kind,
  metadata: namespace === undefined ? { name } : { name, namespace },
});

function targetOf({ apiVersion, kind, metadata: { name } }: ManifestObject): Record<string, string> {
  const [version = '', group] = apiVersion.split('/').toReversed();
  return { ...(group === undefined ? {} : { group }), version, kind, name };
}
