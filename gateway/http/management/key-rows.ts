/** Keys by what callers name them by: a secret, its hash, an alias. */
import { hashKey, masked } from '../../domain/keys.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { changes, forbidden, isAdmin, notFound, type Principal } from './actor.ts';

export const toHash = (key: string): string => (key.startsWith('sk-') ? hashKey(key) : key);
/** Only one secret of a key is the one in force. */
export const current = { supersededAtMs: null } as const;

/** The row of a key in force, whichever of its secrets names it. */
export async function keyOf(hash: string, reader: IdentityReader): Promise<Rows['key'] | undefined> {
  const row = await reader.find('key', { keyHash: hash });
  return row?.supersededAtMs === undefined ? row : reader.find('key', { keyId: row.keyId, ...current });
}

/** @throws Refusal 403 for what is another's, and for what does not exist; an administrator gets 404 for that. */
export async function keyToChange(principal: Principal, key: string, reader: IdentityReader): Promise<Rows['key']> {
  const row = await keyOf(toHash(key), reader);
  if (row === undefined && isAdmin(principal)) throw notFound('Key', shown(key));
  if (row === undefined || !(await changes(principal, row, reader))) throw forbidden(`Changing key ${shown(key)}`);
  return row;
}

/** A secret must not be repeated. */
export const shown = (key: string): string => (key.startsWith('sk-') ? masked(key) : key.slice(0, 64));
