/** What is different between two sets of Kubernetes objects, field by field. */
import type { ManifestObject } from './manifest-files.ts';

/** One field; the words and the form are those of JSON Patch, so that a list of them can be applied. */
export type FieldChange =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

export interface Difference {
  readonly added: readonly ManifestObject[];
  readonly removed: readonly ManifestObject[];
  readonly changed: readonly { readonly object: ManifestObject; readonly fields: readonly FieldChange[] }[];
}

/** Objects are the same when kind, namespace and name are. */
export const identityOf = ({ apiVersion, kind, metadata }: ManifestObject): string =>
  `${apiVersion} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

export function difference(before: readonly ManifestObject[], after: readonly ManifestObject[]): Difference {
  const old = new Map(before.map((object) => [identityOf(object), object]));
  const now = new Map(after.map((object) => [identityOf(object), object]));
  return {
    added: after.filter((object) => !old.has(identityOf(object))),
    removed: before.filter((object) => !now.has(identityOf(object))),
    changed: after.flatMap((object) => {
      const fields = fieldChanges(old.get(identityOf(object)) ?? object, object);
      return fields.length === 0 ? [] : [{ object, fields }];
    }),
  };
}

/** Lists of the same length are compared element by element, others are replaced as a whole: their order means something. */
export function fieldChanges(before: unknown, after: unknown, path = ''): FieldChange[] {
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((element, index) => fieldChanges(element, after[index], `${path}/${index}`));
  }
  if (isRecord(before) && isRecord(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key): FieldChange[] => {
      const at = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (!(key in after)) return [{ op: 'remove', path: at }];
      if (!(key in before)) return [{ op: 'add', path: at, value: after[key] }];
      return fieldChanges(before[key], after[key], at);
    });
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ op: 'replace', path, value: after }];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
