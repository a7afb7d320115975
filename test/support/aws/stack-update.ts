/**
 * What CloudFormation does to a stack when its parameters or template change: the rules of `AWS::RDS::DBInstance`, which
 * is the one kind of resource that an update is carried out on here.
 * Source: https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds (UpdateHandler, schema)
 */
import { differences } from '../../lib/resolve-template.ts';

/** A resource with its conditions decided. */
export interface Resolved {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

export type Resources = Readonly<Record<string, Resolved>>;

export type Change =
  | { readonly is: 'create'; readonly id: string; readonly resource: Resolved }
  | { readonly is: 'delete'; readonly id: string; readonly resource: Resolved }
  /** The source was taken out of the template: the replica becomes a database of its own. */
  | {
      readonly is: 'promote';
      readonly id: string;
      readonly resource: Resolved;
      readonly alsoChanged: readonly string[];
    }
  | { readonly is: 'modify'; readonly id: string; readonly resource: Resolved; readonly changed: readonly string[] }
  | { readonly is: 'refuse'; readonly id: string; readonly because: string };

const databaseType = 'AWS::RDS::DBInstance';

/** A change of these makes a new, empty database; with a name of its own it cannot stand beside the old one. */
const createOnly = [
  'SourceRegion',
  'KmsKeyId',
  'StorageEncrypted',
  'MasterUsername',
  'DBName',
  'DBSubnetGroupName',
  'DBInstanceIdentifier',
];

/** Changes in the order in which they are carried out; nothing else happens to the stack. */
export function changesBetween(before: Resources, after: Resources): Change[] {
  const ids = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return ids.flatMap((id) => changeOf(id, before[id], after[id]) ?? []);
}

function changeOf(id: string, before: Resolved | undefined, after: Resolved | undefined): Change | undefined {
  if (before === undefined) return after && { is: 'create', id, resource: after };
  if (after === undefined) return { is: 'delete', id, resource: before };
  const changed = [
    ...new Set(differences(before.Properties, after.Properties).map((line) => line.split(/[.:]/)[0] ?? '')),
  ];
  if (changed.length === 0) return undefined;
  if (after.Type !== databaseType) return { is: 'modify', id, resource: after, changed };
  const replaced = changed.filter((name) => createOnly.includes(name));
  if (replaced.length > 0) {
    return {
      is: 'refuse',
      id,
      because: `CloudFormation cannot update a stack when a custom-named resource requires replacing (${replaced.join(', ')}).`,
    };
  }
  if (changed.includes('Engine')) return { is: 'refuse', id, because: 'Resource is immutable' };
  const source = 'SourceDBInstanceIdentifier';
  if (!changed.includes(source)) return { is: 'modify', id, resource: after, changed };
  if (after.Properties[source] !== undefined) return { is: 'refuse', id, because: 'Resource is immutable' };
  return { is: 'promote', id, resource: after, alsoChanged: changed.filter((name) => name !== source) };
}

/**
 * What must become of a stack whose update failed.
 * @param promoted whether this update has promoted something: going back would be to make it a replica again
 */
export function afterFailure(
  rollback: boolean,
  promoted: boolean,
): 'UPDATE_FAILED' | 'UPDATE_ROLLBACK_FAILED' | 'UPDATE_ROLLBACK_COMPLETE' {
  if (!rollback) return 'UPDATE_FAILED';
  return promoted ? 'UPDATE_ROLLBACK_FAILED' : 'UPDATE_ROLLBACK_COMPLETE';
}
