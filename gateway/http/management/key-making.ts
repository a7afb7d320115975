/** What must hold before somebody makes or changes a key. */
import { type Grant, withinGrantor } from '../../domain/delegation.ts';
import { Refusal } from '../../domain/errors.ts';
import { beyondUpperBound, type KeyPolicy, secondsOf } from '../../domain/key-policy.ts';
import { effectiveLimits, type Limits } from '../../domain/limits.ts';
import type { IdentityReader, IdentityWriter, Rows } from '../../domain/management.ts';
import { type AccessGroups, expandModels } from '../../domain/model-access.ts';
import {
  administers,
  administersOrganization,
  forbidden,
  invalid,
  isAdmin,
  memberOf,
  type Principal,
} from './actor.ts';
import { type KeyFields, lengthMs } from './key-body.ts';
import { limitsInForce, putAccounts } from './objects.ts';

/** The operator's defaults and bounds for whatever the maker does not state. */
export function withPolicy(body: KeyFields, { defaults, upperBound }: KeyPolicy): KeyFields {
  const { duration, models, team_id, metadata, ...limits } = defaults;
  const stated = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
  const fallback = { ...upperBound, ...limits, duration: duration ?? upperBound.duration, team_id };
  const known = Object.fromEntries(
    Object.entries(fallback).filter(([, value]) => value !== undefined && value !== null),
  );
  return {
    ...known,
    ...(models === undefined ? {} : { models: [...models] }),
    ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    ...stated,
    // Null would take away the bound.
    ...Object.fromEntries(Object.entries(upperBound).filter(([name]) => stated[name] === null)),
  };
}

/** @throws Refusal 400 for what is beyond the operator's bounds. */
export function checkUpperBound(body: KeyFields, limits: Limits, policy: KeyPolicy, nowMs: number): void {
  const faults = beyondUpperBound(limits, policy, nowMs);
  const longest = policy.upperBound.duration;
  if (longest !== undefined && typeof body.duration === 'string') {
    if (body.duration === '-1' || lengthMs(body.duration, nowMs) > secondsOf(longest, nowMs) * 1000) {
      faults.push(`duration: at most ${longest}`);
    }
  }
  if (faults.length > 0) {
    throw invalid(faults[0]?.split(':')[0] ?? null, `${faults.join('; ')} (upperbound_key_generate_params)`);
  }
}

export interface Belonging {
  readonly userId: string | undefined;
  readonly teamId: string | undefined;
  readonly organizationId: string | undefined;
}

/**
 * For whom a key may be made by somebody.
 * @throws Refusal 403; the same for what does not exist and for what is another's. Administrators get 400.
 */
export async function ownersFor(
  principal: Principal,
  wanted: Belonging,
  policy: KeyPolicy,
  writer: IdentityWriter,
): Promise<Belonging> {
  const { teamId } = wanted;
  const team = teamId === undefined ? undefined : await writer.lock('team', { teamId });
  if (isAdmin(principal)) {
    if (teamId !== undefined && team === undefined) throw invalid('team_id', `team_id: there is no team ${teamId}`);
    await requireOrganization(wanted.organizationId, team, writer);
    await provideUser(wanted.userId, writer);
    return wanted;
  }
  const own = principal.userId;
  if (own === undefined) throw forbidden('Making a key');
  if (teamId === undefined) {
    if (wanted.userId !== undefined && wanted.userId !== own) throw forbidden(`Making a key for user ${wanted.userId}`);
    if (!policy.personalKeys.makers.some((role) => role === principal.role)) throw forbidden('Making a personal key');
    if (wanted.organizationId !== undefined && !(await administersOrganization(own, wanted.organizationId, writer))) {
      throw forbidden(`Making a key for organization ${wanted.organizationId}`);
    }
    return { ...wanted, userId: own };
  }
  const leads = team !== undefined && (await administers(principal, { teamId }, writer));
  const member = team === undefined ? undefined : await memberOf(teamId, own, writer);
  const mayAsMember = member !== undefined && policy.teamKeys.makers.includes(member.role);
  if (!leads && !mayAsMember) throw forbidden(`Making a key for team ${teamId}`);
  if (wanted.userId !== undefined && wanted.userId !== own) {
    const other = leads ? await memberOf(teamId, wanted.userId, writer) : undefined;
    if (other === undefined) throw forbidden(`Making a key for user ${wanted.userId}`);
  }
  if (wanted.organizationId !== undefined && wanted.organizationId !== team?.organizationId) {
    throw forbidden(`Making a key for organization ${wanted.organizationId}`);
  }
  return wanted;
}

async function requireOrganization(
  organizationId: string | undefined,
  team: Rows['team'] | undefined,
  writer: IdentityWriter,
): Promise<void> {
  if (organizationId === undefined) return;
  if ((await writer.lock('organization', { organizationId })) === undefined) {
    throw invalid('organization_id', `organization_id: there is no organization ${organizationId}`);
  }
  if (team?.organizationId !== undefined && team.organizationId !== organizationId) {
    throw invalid('organization_id', `organization_id: team ${team.teamId} belongs to ${team.organizationId}`);
  }
}

/** Users come into being with their first key or team, as in LiteLLM; without rights until they have a key. */
export async function provideUser(userId: string | undefined, writer: IdentityWriter, email?: string): Promise<void> {
  if (userId === undefined || (await writer.lock('user', { userId })) !== undefined) return;
  const made = await writer.insert('user', {
    userId,
    userRole: 'internal_user',
    ...(email === undefined ? {} : { userEmail: email }),
  });
  if (made !== undefined) await putAccounts(writer, 'user', userId, {}, made.limits);
}

/** What the operator wants to be stated. */
export function checkRequired(
  body: KeyFields,
  teamId: string | undefined,
  policy: KeyPolicy,
  principal: Principal,
): void {
  if (isAdmin(principal)) return;
  const { required } = teamId === undefined ? policy.personalKeys : policy.teamKeys;
  const stated = new Map(Object.entries(body));
  const missing = required.filter((name) => (stated.get(name) ?? undefined) === undefined);
  if (missing.length > 0)
    throw invalid(missing[0] ?? null, `${missing.join(', ')}: required by key_generation_settings`);
}

type Draft = Pick<
  Rows['key'],
  'models' | 'limits' | 'rules' | 'expiresAtMs' | 'budgetId' | 'teamId' | 'userId' | 'organizationId'
>;

/** @throws Refusal 403 that names what the key would have more of than the key that makes it. */
export async function checkDelegation(
  principal: Principal,
  draft: Draft,
  nowMs: number,
  groups: AccessGroups,
  reader: IdentityReader,
): Promise<void> {
  if (isAdmin(principal)) return;
  const maker = await reader.find('key', { keyHash: principal.caller.keyHash });
  if (maker === undefined) throw forbidden('Making a key');
  const above = await bindingsAbove(draft, groups, reader);
  const child = await grantOf(draft, groups, reader);
  const faults = withinGrantor(
    { ...child, models: [...child.models, ...above.models], limits: [...child.limits, ...above.limits] },
    await grantOf(maker, groups, reader),
    nowMs,
  );
  if (faults.length > 0) {
    throw new Refusal({
      status: 403,
      type: 'auth_error',
      message: `A key cannot give more than it has. ${faults.join('; ')}`,
      param: faults[0]?.split(':')[0] ?? 'models',
    });
  }
}

async function grantOf(key: Draft, groups: AccessGroups, reader: IdentityReader): Promise<Grant> {
  const { allowedRoutes, allowedCacheControls, tags, allowedModelRegion, mayMock } = key.rules;
  return {
    models: [expandModels(key.models, groups, key.teamId !== undefined)],
    limits: [await limitsInForce(key, reader)],
    routes: allowedRoutes === undefined || allowedRoutes.length === 0 ? undefined : allowedRoutes,
    expiresAtMs: key.expiresAtMs,
    tags: tags ?? [],
    cacheControls: allowedCacheControls,
    region: allowedModelRegion,
    mayMock: mayMock === true,
  };
}

/** What binds a key besides its own: lists of models of the levels above, and limits that only it can use up. */
async function bindingsAbove(draft: Draft, groups: AccessGroups, reader: IdentityReader) {
  const models: (readonly string[])[] = [];
  const limits: Limits[] = [];
  const add = (row: { models: readonly string[] } | undefined): void => {
    if (row !== undefined) models.push(expandModels(row.models, groups, false));
  };
  if (draft.teamId === undefined) {
    if (draft.userId !== undefined) add(await reader.find('user', { userId: draft.userId }));
  } else {
    const team = await reader.find('team', { teamId: draft.teamId });
    add(team);
    if (team?.organizationId !== undefined) {
      add(await reader.find('organization', { organizationId: team.organizationId }));
    }
  }
  return { models, limits: limits.map((one) => effectiveLimits(one, undefined)) };
}
