/** `/key/*` */
import { z } from 'zod';
import { accountId } from '../../domain/entitlements.ts';
import { hashKey, masked, newKey } from '../../domain/keys.ts';
import { toMicros } from '../../domain/limit-fields.ts';
import { noLimits } from '../../domain/limits.ts';
import type { Rows } from '../../domain/management.ts';
import { administers, changes, forbidden, invalid, isAdmin, notFound } from './actor.ts';
import { alias, duration, inertFields, keyOrHash } from './fields.ts';
import { keyAnswers } from './key-answers.ts';
import { expiryFrom, keyFields, lengthMs, limitsFrom, ownKey, rulesFrom } from './key-body.ts';
import { changeKey, makeKey, removeKeys, requireOwnership } from './key-changes.ts';
import { checkDelegation, checkUpperBound } from './key-making.ts';
import { keyReadRoutes } from './key-read-routes.ts';
import { current, keyOf, keyToChange, shown, toHash } from './key-rows.ts';
import { changed, sharedLimits } from './objects.ts';
import { defineRoute } from './route.ts';

const example = { key_alias: 'alice', models: ['gpt-4o'], max_budget: 10, budget_duration: '30d', duration: '90d' };

const generate = defineRoute({
  method: 'POST',
  paths: ['/key/generate'],
  tag: 'keys',
  summary: 'Make a key. Its value is shown once',
  needs: 'member',
  inert: inertFields,
  body: z.strictObject({ ...keyFields, key: ownKey.optional().describe('an own value instead of a random one') }),
  example,
  answerExample: { key: 'sk-...', token: '<sha-256 of the key>', key_name: 'sk-...wxyz', ...example, expires: null },
  write: async (writer, asked) => {
    const { key, ...body } = asked.body;
    const { row, secret } = await makeKey(writer, asked, body, key);
    const [answer] = await keyAnswers([row], writer);
    return { key: secret, token_id: row.keyHash, ...answer };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/key/update'],
  tag: 'keys',
  summary: 'Change a key; absent fields stay, null clears',
  needs: 'member',
  inert: inertFields,
  body: z.strictObject({ key: keyOrHash, ...keyFields }),
  example: { key: 'sk-...', max_budget: 20 },
  write: async (writer, asked) => {
    const { principal, nowMs, options } = asked;
    const { key, ...body } = asked.body;
    const before = await keyToChange(principal, key, writer);
    await requireOwnership(principal, before, body, asked, writer);
    const limits = limitsFrom(body, before.limits);
    checkUpperBound(body, limits, options.policy, nowMs);
    const after = {
      ...before,
      keyAlias: changed(body.key_alias, before.keyAlias),
      models: body.models === undefined ? before.models : (body.models ?? []),
      blocked: body.blocked ?? before.blocked,
      expiresAtMs: expiryFrom(body.duration, before.expiresAtMs, nowMs),
      budgetId: changed(body.budget_id, before.budgetId),
      limits,
      rules: rulesFrom(body, before.rules),
      metadata: body.metadata === undefined ? before.metadata : (body.metadata ?? {}),
      extra: { ...before.extra, ...asked.extra },
      userId: changed(body.user_id, before.userId),
      teamId: changed(body.team_id, before.teamId),
      organizationId: changed(body.organization_id, before.organizationId),
    };
    await sharedLimits(after.budgetId, writer);
    await checkDelegation(principal, after, nowMs, options.accessGroups, writer);
    const row = await changeKey(writer, before, after);
    if (body.spend !== undefined) await writer.setSpent([accountId('key', row.keyId)], toMicros(body.spend));
    const [answer] = await keyAnswers([row], writer);
    return { key: row.keyHash, ...answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/key/delete'],
  tag: 'keys',
  summary: 'End keys, at once here and within a second elsewhere',
  needs: 'member',
  body: z.strictObject({
    keys: z.array(keyOrHash).min(1).max(1_000).optional(),
    key_aliases: z.array(alias).min(1).max(1_000).optional(),
  }),
  example: { keys: ['sk-...'] },
  write: async (writer, { body, principal }) => {
    if (body.keys === undefined && body.key_aliases === undefined)
      throw invalid('keys', 'keys or key_aliases: name what shall be deleted');
    const rows: Rows['key'][] = [];
    const take = async (name: string, row: Rows['key'] | undefined): Promise<void> => {
      if (row === undefined && isAdmin(principal)) return;
      // By the name that was asked for: a refusal must not tell another's.
      if (row === undefined || !(await changes(principal, row, writer))) throw forbidden(`Changing key ${name}`);
      rows.push(row);
    };
    for (const key of body.keys ?? []) await take(shown(key), await keyOf(toHash(key), writer));
    for (const keyAlias of body.key_aliases ?? []) {
      await take(keyAlias, await writer.find('key', { keyAlias, ...current }));
    }
    if (rows.length === 0)
      throw notFound('None of these keys exists: key', (body.keys?.map(shown) ?? body.key_aliases)?.join(', ') ?? '');
    await removeKeys(writer, rows);
    return { deleted_keys: rows.map((row) => row.keyHash) };
  },
});

const switchRoute = (name: 'block' | 'unblock') =>
  defineRoute({
    method: 'POST',
    paths: [`/key/${name}`],
    tag: 'keys',
    summary: name === 'block' ? 'Refuse a key until it is unblocked' : 'Let a key in again',
    needs: 'member',
    body: z.strictObject({ key: keyOrHash }),
    example: { key: 'sk-...' },
    write: async (writer, { body, principal }) => {
      const before = await keyToChange(principal, body.key, writer);
      // Whoever owns a key must not undo what an administrator did.
      if (name === 'unblock' && !isAdmin(principal) && !(await administers(principal, before, writer))) {
        throw forbidden('Unblocking a key');
      }
      const rows = await writer.update('key', { keyId: before.keyId }, { blocked: name === 'block' });
      const [answer] = await keyAnswers(
        rows.filter((row) => row.supersededAtMs === undefined),
        writer,
      );
      return { ...answer };
    },
  });

const regenerate = defineRoute({
  method: 'POST',
  paths: ['/key/regenerate', '/key/:key/regenerate'],
  tag: 'keys',
  summary: 'Give a key a new value; budget and spend stay. The new value is shown once',
  needs: 'member',
  body: z.strictObject({
    key: keyOrHash,
    new_key: ownKey.optional().describe('an own value instead of a random one'),
    grace_period: duration.optional().describe('so long the old value works, too; absent = it ends at once'),
    duration: keyFields.duration,
  }),
  example: { key: 'sk-...', grace_period: '24h' },
  write: async (writer, { body, principal, nowMs, options }) => {
    const before = await keyToChange(principal, body.key, writer);
    const secret = body.new_key ?? newKey();
    const expiresAtMs = expiryFrom(body.duration, before.expiresAtMs, nowMs);
    checkUpperBound({ duration: body.duration }, noLimits, options.policy, nowMs);
    await checkDelegation(principal, { ...before, expiresAtMs }, nowMs, options.accessGroups, writer);
    const { keyId, keyAlias, role, models, blocked, teamId, userId, organizationId, budgetId } = before;
    const { limits, rules, metadata, extra, createdBy } = before;
    // First, since only one secret of a key is the one in force, and only one has the alias.
    if (body.grace_period === undefined) {
      await writer.remove('key', { keyId });
    } else {
      const ends = nowMs + lengthMs(body.grace_period, nowMs);
      const until = Math.min(ends, before.expiresAtMs ?? Number.POSITIVE_INFINITY);
      const old = { expiresAtMs: until, supersededAtMs: nowMs, keyAlias: undefined };
      await writer.update('key', { keyHash: before.keyHash }, old);
    }
    const row = await writer.insert('key', {
      keyId,
      keyAlias,
      role,
      models,
      blocked,
      teamId,
      userId,
      organizationId,
      budgetId,
      limits,
      rules,
      metadata,
      extra,
      createdBy,
      expiresAtMs,
      keyHash: hashKey(secret),
      keyName: masked(secret),
      rotationCount: before.rotationCount + 1,
    });
    if (row === undefined) throw invalid('new_key', 'new_key: this value was used before; choose another');
    const [answer] = await keyAnswers([row], writer);
    return { key: secret, token_id: row.keyHash, ...answer };
  },
});

export const keyRoutes = [
  generate,
  update,
  remove,
  switchRoute('block'),
  switchRoute('unblock'),
  regenerate,
  ...keyReadRoutes,
] as const;
