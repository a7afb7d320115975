/** `/key/*` that look and change nothing. */
import { z } from 'zod';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { administers, forbidden, notFound, sees, seesAll } from './actor.ts';
import { alias, flag, id, keyOrHash, shortPaging } from './fields.ts';
import { keyAnswers } from './key-answers.ts';
import { current, keyOf, shown, toHash } from './key-rows.ts';
import { isoOf } from './objects.ts';
import { defineRoute } from './route.ts';

const info = defineRoute({
  method: 'GET',
  paths: ['/key/info'],
  tag: 'keys',
  summary: 'A key: its limits and its spend. Without `key`, the one that asks',
  needs: 'any-key',
  query: z.strictObject({ key: keyOrHash.optional() }),
  read: async (reader, { query, principal }) => {
    const own = principal.caller.keyHash;
    const hash = query.key === undefined ? own : toHash(query.key);
    const row = await keyOf(hash, reader);
    const self = await isSelf(hash, own, row, reader);
    if (!self && (row === undefined ? !seesAll(principal) : !(await sees(principal, row, reader)))) {
      throw forbidden(`Looking at key ${shown(query.key ?? '')}`);
    }
    if (row === undefined)
      throw notFound('Key', shown(query.key ?? 'of this request (the master key is not in the database):'));
    const [answer] = await keyAnswers([row], reader);
    return { key: query.key ?? row.keyHash, info: answer };
  },
});

/** Also with the old secret during a rotation. */
async function isSelf(
  hash: string,
  own: string,
  row: Rows['key'] | undefined,
  reader: IdentityReader,
): Promise<boolean> {
  if (hash === own) return true;
  return row !== undefined && (await reader.find('key', { keyHash: own }))?.keyId === row.keyId;
}

const list = defineRoute({
  method: 'GET',
  paths: ['/key/list'],
  tag: 'keys',
  summary: 'Keys, newest first',
  needs: 'viewer',
  query: z.strictObject({
    ...shortPaging,
    user_id: id.optional(),
    team_id: id.optional(),
    organization_id: id.optional(),
    key_alias: alias.optional(),
    key_hash: keyOrHash.optional(),
    return_full_object: flag,
    include_team_keys: flag,
  }),
  read: async (reader, { query, principal }) => {
    const owners = { userId: query.user_id, teamId: query.team_id, organizationId: query.organization_id };
    if (!seesAll(principal)) {
      const leads = query.team_id !== undefined && (await administers(principal, { teamId: query.team_id }, reader));
      if (!leads) {
        if (owners.userId !== undefined && owners.userId !== principal.userId)
          throw forbidden('Listing keys of others');
        owners.userId = principal.userId;
      }
    }
    const filter = {
      ...owners,
      keyAlias: query.key_alias,
      keyHash: query.key_hash && toHash(query.key_hash),
      ...current,
    };
    const total = await reader.count('key', filter);
    const rows = await reader.list('key', filter, { page: query.page, size: query.size });
    return {
      keys: query.return_full_object === true ? await keyAnswers(rows, reader) : rows.map((row) => row.keyHash),
      total_count: total,
      current_page: query.page,
      total_pages: Math.ceil(total / query.size),
    };
  },
});

const health = defineRoute({
  method: 'POST',
  paths: ['/key/health'],
  tag: 'keys',
  summary: 'Whether the key that asks is good',
  needs: 'any-key',
  read: async (_reader, { principal }) => ({
    key: 'healthy',
    key_alias: principal.caller.keyAlias ?? null,
    logging_callbacks: null,
    checked_at: isoOf(Date.now()),
  }),
});

export const keyReadRoutes = [info, list, health] as const;
