/** Compares written manifests, region by region. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { difference, type FieldChange, identityOf } from './difference.ts';
import type { ManifestObject } from './manifest-files.ts';

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

/** Objects by region, drills included; undefined when the folder is not there. */
export function readManifests(directory: string): Map<string, ManifestObject[]> | undefined {
  if (!existsSync(directory)) return undefined;
  const regions = new Map<string, ManifestObject[]>();
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));
  for (const file of files.toSorted()) {
    const [region = ''] = file.split('/');
    // They say the same in another form.
    if (region === 'kustomize') continue;
    const documents = parseAllDocuments(readFileSync(join(directory, file), 'utf8'));
    const objects = documents.map((document) => manifestSchema.parse(document.toJS()));
    regions.set(region, [...(regions.get(region) ?? []), ...objects]);
  }
  return regions;
}

/** One line for each object that comes or goes and for each field that changes; empty when nothing does. */
export function describeDifference(
  before: ReadonlyMap<string, readonly ManifestObject[]>,
  after: ReadonlyMap<string, readonly ManifestObject[]>,
): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].toSorted().flatMap((region) => {
    const { added, removed, changed } = difference(before.get(region) ?? [], after.get(region) ?? []);
    return [
      ...removed.map((object) => `${region}  - ${identityOf(object)}`),
      ...added.map((object) => `${region}  + ${identityOf(object)}`),
      ...changed.flatMap(({ object, fields }) =>
        fields.map((field) => `${region}  ~ ${identityOf(object)} ${describeField(field)}`),
      ),
    ];
  });
}

const longestValue = 80;

function describeField(field: FieldChange): string {
  if (field.op === 'remove') return `${field.path} is gone`;
  const value = JSON.stringify(field.value);
  return `${field.path} ${field.op === 'add' ? 'is new' : 'becomes'}: ${value.length > longestValue ? `${value.slice(0, longestValue)}...` : value}`;
}
