/** `/key/*` */
import { z } from 'zod';
import { accountId } from '../../domain/entitlements.ts';
import { hashKey, masked, newKey } from '../../domain/keys.ts';
import { toMicros } from '../../domain/limit-fields.ts';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityReader, IdentityWriter, NewRow, Rows } from '../../domain/management.ts';
import { administers, changes, forbidden, invalid, isAdmin, notFound, type Principal, sees, seesAll } from './actor.ts';
import { alias, duration, flag, id, inertFields, keyOrHash, shortPaging } from './fields.ts';
import { keyAnswers } from './key-answers.ts';
import { expiryFrom, type KeyFields, keyFields, lengthMs, limitsFrom, ownKey, rulesFrom } from './key-body.ts';
import { checkDelegation, checkRequired, checkUpperBound, ownersFor, withPolicy } from './key-making.ts';
import { changed, isoOf, limitsInForce, putAccounts, sharedLimits } from './objects.ts';
import { type Asked, defineRoute } from './route.ts';

const toHash = (key: string): string => (key.startsWith('sk-') ? hashKey(key) : key);
const current = { supersededAtMs: null } as const;

/** The row of a key in force, whichever of its secrets names it. */
async function keyOf(hash: string, reader: IdentityReader): Promise<Rows['key'] | undefined> {
  const row = await reader.find('key', { keyHash: hash });
  return row?.supersededAtMs === undefined ? row : reader.find('key', { keyId: row.keyId, ...current });
}

/** @throws Refusal 403 for what is another's, and for what does not exist; an administrator gets 404 for that. */
async function keyToChange(principal: Principal, key: string, reader: IdentityReader): Promise<Rows['key']> {
  const row = await keyOf(toHash(key), reader);
  if (row === undefined && isAdmin(principal)) throw notFound('Key', shown(key));
  if (row === undefined || !(await changes(principal, row, reader))) throw forbidden(`Changing key ${shown(key)}`);
  return row;
}

const shown = (key: string): string => (key.startsWith('sk-') ? masked(key) : key.slice(0, 64));

/** Makes a key; every way to one leads through here. @returns its row and the secret, which is nowhere else. */
export async function makeKey(
  writer: IdentityWriter,
  { principal, nowMs, options, extra }: Pick<Asked<unknown, unknown>, 'principal' | 'nowMs' | 'options' | 'extra'>,
  stated: KeyFields,
  secret = newKey(),
): Promise<{ row: Rows['key']; secret: string }> {
  const { policy, accessGroups } = options;
  const body = withPolicy(stated, policy);
  const limits = limitsFrom(body, noLimits);
  checkUpperBound(body, limits, policy, nowMs);
  const wanted = {
    userId: body.user_id ?? undefined,
    teamId: body.team_id ?? undefined,
    organizationId: body.organization_id ?? undefined,
  };
  const owners = await ownersFor(principal, wanted, policy, writer);
  checkRequired(body, owners.teamId, policy, principal);
  if (body.spend !== undefined && !isAdmin(principal)) throw forbidden('Setting spend');
  const keyHash = hashKey(secret);
  const expiresAtMs = expiryFrom(body.duration, undefined, nowMs);
  const values = {
    ...owners,
    keyHash,
    keyName: masked(secret),
    keyAlias: body.key_alias ?? undefined,
    role: 'caller',
    models: body.models ?? [],
    blocked: body.blocked ?? false,
    expiresAtMs,
    budgetId: body.budget_id ?? undefined,
    limits,
    rules: rulesFrom(body, {}),
    metadata: body.metadata ?? {},
    extra,
    createdBy: principal.actor.userId ?? principal.actor.name,
  } as const satisfies NewRow<'key'>;
  await sharedLimits(values.budgetId, writer);
  await checkDelegation(principal, { ...values, models: [...values.models] }, nowMs, accessGroups, writer);
  const row = await writer.insert('key', values);
  if (row === undefined) throw invalid('key_alias', 'this key or this key_alias exists already; choose another');
  await putAccounts(writer, 'key', row.keyId, noLimits, await limitsInForce(row, writer));
  if (body.spend !== undefined) await writer.setSpent([accountId('key', row.keyId)], toMicros(body.spend));
  return { row, secret };
}

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

/** What only an administrator of a key may change. */
async function requireOwnership(
  principal: Principal,
  before: Rows['key'],
  body: KeyFields,
  { options }: Pick<Asked<unknown, unknown>, 'options'>,
  writer: IdentityWriter,
): Promise<void> {
  const moves = (['user_id', 'team_id', 'organization_id'] as const).some((field) => body[field] !== undefined);
  if (isAdmin(principal)) {
    if (!moves) return;
    const owners = {
      userId: changed(body.user_id, before.userId),
      teamId: changed(body.team_id, before.teamId),
      organizationId: changed(body.organization_id, before.organizationId),
    };
    await ownersFor(principal, owners, options.policy, writer);
    return;
  }
  if (moves) throw forbidden('Moving a key to another owner');
  if (body.spend !== undefined) throw forbidden('Setting spend');
  if (body.blocked === false && before.blocked && !(await administers(principal, before, writer))) {
    throw forbidden('Unblocking a key');
  }
}

type KeyState = Omit<Rows['key'], 'keyAlias' | 'expiresAtMs' | 'userId' | 'teamId' | 'organizationId' | 'budgetId'> &
  Partial<Pick<Rows['key'], 'keyAlias' | 'expiresAtMs' | 'userId' | 'teamId' | 'organizationId' | 'budgetId'>>;

/** All secrets of a key are the same key: a change is for every one that still works. */
async function changeKey(writer: IdentityWriter, before: Rows['key'], after: KeyState): Promise<Rows['key']> {
  const { models, blocked, budgetId, limits, rules, metadata, extra, userId, teamId, organizationId } = after;
  const shared = { models, blocked, budgetId, limits, rules, metadata, extra, userId, teamId, organizationId };
  const limitsBefore = await limitsInForce(before, writer);
  const rows = await writer.update('key', { keyId: before.keyId }, shared);
  for (const old of rows.filter((row) => row.supersededAtMs !== undefined)) {
    const expiresAtMs = Math.min(
      old.expiresAtMs ?? Number.POSITIVE_INFINITY,
      after.expiresAtMs ?? Number.POSITIVE_INFINITY,
    );
    await writer.update('key', { keyHash: old.keyHash }, { expiresAtMs });
  }
  const [row] = await writer.update(
    'key',
    { keyHash: before.keyHash },
    { keyAlias: after.keyAlias, expiresAtMs: after.expiresAtMs },
  );
  if (row === undefined) throw notFound('Key', before.keyHash);
  await putAccounts(writer, 'key', row.keyId, limitsBefore, await limitsInForce(row, writer));
  return row;
}

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

/** With every secret that they have. */
export async function removeKeys(writer: IdentityWriter, rows: readonly Rows['key'][]): Promise<void> {
  if (rows.length > 0) await writer.remove('key', { keyId: [...new Set(rows.map((row) => row.keyId))] });
}

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

export const keyRoutes = [
  generate,
  update,
  remove,
  switchRoute('block'),
  switchRoute('unblock'),
  regenerate,
  info,
  list,
  health,
] as const;
