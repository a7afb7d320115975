/** Who asks the management API, and what that one may see and change. */

import { Refusal } from '../../domain/errors.ts';
import type { UserRole } from '../../domain/identity.ts';
import type { Actor, IdentityReader, Rows } from '../../domain/management.ts';
import type { Caller } from '../../domain/request.ts';

/** `none`: a key without a user; it may look at itself. */
export type Role = UserRole | 'none';

export interface Principal {
  readonly caller: Caller;
  readonly role: Role;
  /** Of whom the spend and the keys are one's own. Undefined = of nobody. */
  readonly userId: string | undefined;
  readonly actor: Actor;
}

export function principalOf(caller: Caller): Principal {
  const userId = caller.userId;
  // A team's key serves the team: what its maker is elsewhere gives it no rights.
  const ofUser = caller.teamId === undefined ? caller.userRole : undefined;
  const role: Role = caller.role === 'admin' ? 'proxy_admin' : (ofUser ?? 'none');
  const name = caller.keyAlias ?? userId ?? `key ${caller.keyHash.slice(0, 8)}`;
  return {
    caller,
    role: role === 'proxy_admin' && caller.role !== 'admin' ? 'none' : role,
    userId: role === 'none' ? undefined : userId,
    actor: { name, keyHash: caller.keyHash, userId },
  };
}

/** What a route needs before anything is looked up. `member`: somebody with own objects; the rest is the object's affair. */
export type Need = 'any-key' | 'viewer' | 'member' | 'admin';

const rank: Readonly<Record<Need, readonly Role[]>> = {
  'any-key': ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer', 'none'],
  viewer: ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'],
  member: ['proxy_admin', 'internal_user'],
  admin: ['proxy_admin'],
};

export const meets = (role: Role, need: Need): boolean => rank[need].includes(role);

export const isAdmin = ({ role }: Principal): boolean => role === 'proxy_admin';
/** May read everything. */
export const seesAll = ({ role }: Principal): boolean => role === 'proxy_admin' || role === 'proxy_admin_viewer';

/** What belongs to whom; an object names its owners in these fields. */
export interface Owners {
  readonly userId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly organizationId?: string | undefined;
}

/** Whether somebody administers the team or the organization that something belongs to. Asked of the record, not of memory. */
export async function administers(
  { userId, role }: Principal,
  { teamId, organizationId }: Owners,
  reader: IdentityReader,
): Promise<boolean> {
  if (userId === undefined || role !== 'internal_user') return false;
  let organization = organizationId;
  if (teamId !== undefined) {
    if ((await memberOf(teamId, userId, reader))?.role === 'admin') return true;
    organization ??= (await reader.find('team', { teamId }))?.organizationId;
  }
  return organization !== undefined && (await administersOrganization(userId, organization, reader));
}

export async function administersOrganization(
  userId: string,
  organizationId: string,
  reader: IdentityReader,
): Promise<boolean> {
  return (await reader.find('organizationMember', { organizationId, userId }))?.userRole === 'org_admin';
}

export const memberOf = (teamId: string, userId: string, reader: IdentityReader): Promise<Rows['member'] | undefined> =>
  reader.find('member', { teamId, userId });

/** May look at something. */
export async function sees(principal: Principal, owners: Owners, reader: IdentityReader): Promise<boolean> {
  return (
    seesAll(principal) ||
    (owners.teamId === undefined && principal.userId !== undefined && owners.userId === principal.userId) ||
    (await ownsWithinTeam(principal, owners, reader)) ||
    administers(principal, owners, reader)
  );
}

/** A team's key that was made for somebody is theirs for as long as they are in the team. */
async function ownsWithinTeam({ userId }: Principal, owners: Owners, reader: IdentityReader): Promise<boolean> {
  const { teamId } = owners;
  if (userId === undefined || teamId === undefined || owners.userId !== userId) return false;
  return (await memberOf(teamId, userId, reader)) !== undefined;
}

/** May change something. Viewers change nothing. */
export async function changes(principal: Principal, owners: Owners, reader: IdentityReader): Promise<boolean> {
  if (isAdmin(principal)) return true;
  if (principal.role !== 'internal_user') return false;
  if (owners.teamId === undefined && owners.userId === principal.userId) return true;
  return administers(principal, owners, reader);
}

/** The same words whether the object exists or not: whoever may not see it learns nothing. */
export const forbidden = (what: string): Refusal =>
  new Refusal({ status: 403, type: 'auth_error', message: `${what}: this key may not do that` });

export const notFound = (what: string, id: string): Refusal =>
  new Refusal({ status: 404, type: 'not_found_error', message: `${what} ${id.slice(0, 200)} does not exist` });

export const invalid = (param: string | null, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, ...(param === null ? {} : { param }) });
