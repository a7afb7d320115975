/** From a key and what it belongs to to the caller behind it: what binds it, level by level. Pure. */
import { accountId, type Level, type Scope } from './entitlements.ts';
import type { KeyRecord, Records } from './identity.ts';
import { allowanceOf, effectiveLimits, type Limits, modelAllowances } from './limits.ts';
import { type AccessGroups, expandModels } from './model-access.ts';
import type { Caller, ModelScope } from './request.ts';

/** A key as it is checked with each request. The object stays the same until something it rests on changes. */
export interface ResolvedKey {
  readonly caller: Caller;
  /** Wall clock, milliseconds; undefined = never. */
  readonly expiresAtMs: number | undefined;
  /** Why it is refused, as part of a sentence: "Team is blocked". */
  readonly refused: string | undefined;
}

/** What a key refers to. Undefined = nothing, or what no longer exists. */
export interface Belongings {
  readonly team: Records['team'] | undefined;
  readonly member: Records['member'] | undefined;
  readonly user: Records['user'] | undefined;
  readonly organization: Records['organization'] | undefined;
  budget(id: string | undefined): Records['budget'] | undefined;
}

export function resolveKey(key: KeyRecord, belongings: Belongings, groups: AccessGroups): ResolvedKey {
  return {
    caller: callerOf(key, belongings, groups),
    expiresAtMs: key.expiresAtMs,
    refused: refusalOf(key, belongings),
  };
}

/** A key whose team or user is gone is refused: nobody would answer for it. */
function refusalOf(key: KeyRecord, { team, user, organization }: Belongings): string | undefined {
  if (key.blocked) return 'Key is blocked';
  for (const [name, id, record] of [
    ['Team', key.teamId, team],
    ['User', key.userId, user],
    ['Organization', key.organizationId ?? team?.organizationId, organization],
  ] as const) {
    if (id === undefined) continue;
    if (record === undefined || record.deleted) return `${name} of this key does not exist any more`;
    if (record.blocked) return `${name} is blocked`;
  }
  return undefined;
}

function callerOf(key: KeyRecord, belongings: Belongings, groups: AccessGroups): Caller {
  const { team, user, organization } = belongings;
  const userRole = key.role === 'admin' ? 'proxy_admin' : user?.userRole;
  // A team's key serves the team, whoever made it.
  const isAdmin = key.role === 'admin' || (userRole === 'proxy_admin' && key.teamId === undefined);
  const modelScopes = modelScopesOf(key, belongings, groups);
  const aliases = { ...team?.rules.aliases, ...key.rules.aliases };
  const { allowedRoutes, allowedCacheControls, disableFallbacks, allowedModelRegion, mayMock } = key.rules;
  const tags = [...(key.rules.tags ?? []), ...(team?.rules.tags ?? [])];
  const organizationId = key.organizationId ?? team?.organizationId;
  return {
    keyHash: key.keyHash,
    keyId: key.keyId,
    role: isAdmin ? 'admin' : 'caller',
    models: expandModels(key.models, groups, key.teamId !== undefined),
    scopes: scopesOf(key, belongings, organization),
    ...(key.keyAlias === undefined ? {} : { keyAlias: key.keyAlias }),
    ...(key.teamId === undefined ? {} : { teamId: key.teamId }),
    ...(key.userId === undefined ? {} : { userId: key.userId }),
    ...(organizationId === undefined ? {} : { organizationId }),
    ...(userRole === undefined ? {} : { userRole }),
    ...(modelScopes.length === 0 ? {} : { modelScopes }),
    ...(Object.keys(aliases).length === 0 ? {} : { aliases: new Map(Object.entries(aliases)) }),
    ...(allowedRoutes === undefined || allowedRoutes.length === 0 ? {} : { allowedRoutes }),
    ...(allowedCacheControls === undefined ? {} : { allowedCacheControls }),
    ...(disableFallbacks === true ? { disableFallbacks } : {}),
    ...(tags.length === 0 ? {} : { tags }),
    ...(allowedModelRegion === undefined ? {} : { allowedModelRegion }),
    ...(mayMock === true ? { mayMock } : {}),
  };
}

/** The lists besides the key's own. With a team, the team's instead of the user's. */
function modelScopesOf(key: KeyRecord, { team, user, organization }: Belongings, groups: AccessGroups): ModelScope[] {
  const scopes: ModelScope[] = [];
  const add = (level: ModelScope['level'], name: string, models: readonly string[]): void => {
    if (models.length > 0) scopes.push({ level, name, models: expandModels(models, groups, false) });
  };
  if (key.teamId !== undefined) {
    if (team !== undefined) add('team', team.teamAlias ?? team.teamId, team.models);
  } else if (user !== undefined) {
    add('user', user.userAlias ?? user.userId, user.models);
  }
  if (organization !== undefined) {
    add('organization', organization.organizationAlias ?? organization.organizationId, organization.models);
  }
  return scopes;
}

/** With a team, the team's and the member's accounts instead of the user's: a user's budget is for personal keys. */
function scopesOf(key: KeyRecord, belongings: Belongings, organization: Records['organization'] | undefined): Scope[] {
  const { team, member, user } = belongings;
  const scopes: Scope[] = [];
  const add = (level: Level, id: string, name: string, own: Limits, budgetId: string | undefined): void => {
    scopes.push(scopeOf(level, id, name, effectiveLimits(own, liveLimits(belongings.budget(budgetId)))));
  };
  if (key.teamId !== undefined) {
    if (team !== undefined) add('team', team.teamId, team.teamAlias ?? team.teamId, team.limits, team.budgetId);
    if (member !== undefined && !member.deleted) {
      add('member', `${member.teamId}/${member.userId}`, member.userId, member.limits, member.budgetId);
    }
  } else if (user !== undefined) {
    add('user', user.userId, user.userAlias ?? user.userId, user.limits, user.budgetId);
  }
  if (organization !== undefined) {
    const { organizationId: id, organizationAlias, limits, budgetId } = organization;
    add('organization', id, organizationAlias ?? id, limits, budgetId);
  }
  add('key', key.keyId, key.keyAlias ?? key.keyName, key.limits, key.budgetId);
  return scopes;
}

const liveLimits = (budget: Records['budget'] | undefined): Limits | undefined =>
  budget === undefined || budget.deleted ? undefined : budget.limits;

/** What binds a customer of a caller. */
export const endUserScope = (endUser: Records['endUser'], budget: Records['budget'] | undefined): Scope =>
  scopeOf(
    'endUser',
    endUser.endUserId,
    endUser.alias ?? endUser.endUserId,
    effectiveLimits(endUser.limits, liveLimits(budget)),
  );

const scopeOf = (level: Level, id: string, name: string, limits: Limits): Scope => ({
  level,
  name,
  account: accountId(level, id),
  ...allowanceOf(level, id, limits),
  models: modelAllowances(level, id, limits),
});
