/** What becomes of keys: every way to make, change or end one leads through here. */

import { accountId } from '../../domain/entitlements.ts';
import { hashKey, masked, newKey } from '../../domain/keys.ts';
import { toMicros } from '../../domain/limit-fields.ts';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityWriter, NewRow, Rows } from '../../domain/management.ts';
import { administers, forbidden, invalid, isAdmin, notFound, type Principal } from './actor.ts';
import { expiryFrom, type KeyFields, limitsFrom, rulesFrom } from './key-body.ts';
import { checkDelegation, checkRequired, checkUpperBound, ownersFor, withPolicy } from './key-making.ts';
import { changed, limitsInForce, putAccounts, sharedLimits } from './objects.ts';
import type { Asked } from './route.ts';

/** @returns its row and the secret, which is nowhere else. */
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

/** What only an administrator of a key may change. */
export async function requireOwnership(
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
export async function changeKey(writer: IdentityWriter, before: Rows['key'], after: KeyState): Promise<Rows['key']> {
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

/** With every secret that they have. */
export async function removeKeys(writer: IdentityWriter, rows: readonly Rows['key'][]): Promise<void> {
  if (rows.length > 0) await writer.remove('key', { keyId: [...new Set(rows.map((row) => row.keyId))] });
}
