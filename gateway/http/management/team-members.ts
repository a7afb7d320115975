/** Who is in a team: `/team/member_*` */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { memberId } from '../../domain/identity.ts';
import { applyLimitFields } from '../../domain/limit-fields.ts';
import { type Limits, noLimits } from '../../domain/limits.ts';
import type { IdentityReader, IdentityWriter, Rows } from '../../domain/management.ts';
import { administers, forbidden, invalid, isAdmin, notFound, type Principal } from './actor.ts';
import { id, limitFields } from './fields.ts';
import { removeKeys } from './key-changes.ts';
import { provideUser } from './key-making.ts';
import { putAccounts } from './objects.ts';
import { defineRoute } from './route.ts';
import { membershipAnswers, teamAnswers } from './team-answers.ts';

const email = z.email().max(320);
const named = { user_id: id.optional(), user_email: email.optional() };
export const memberField = z.strictObject({ role: z.enum(['admin', 'user']).default('user'), ...named });
export type MemberField = z.output<typeof memberField>;

/** A member's share of the team. */
const share = {
  max_budget_in_team: limitFields.max_budget,
  budget_duration: limitFields.budget_duration,
  tpm_limit: limitFields.tpm_limit,
  rpm_limit: limitFields.rpm_limit,
};
const shareObject = z.object(share);

const shareOf = (current: Limits, { max_budget_in_team: max_budget, ...rest }: z.output<typeof shareObject>): Limits =>
  applyLimitFields(current, { max_budget, ...rest });

/** @throws Refusal: for others than administrators the same whether the team exists or not. */
export async function teamToLead(principal: Principal, teamId: string, writer: IdentityWriter): Promise<Rows['team']> {
  const team = await writer.lock('team', { teamId });
  if (team === undefined && isAdmin(principal)) throw notFound('Team', teamId);
  if (team === undefined || !(isAdmin(principal) || (await administers(principal, { teamId }, writer)))) {
    throw forbidden(`Changing team ${teamId}`);
  }
  return team;
}

/** @returns the id of the user that an entry names; who is new is made. */
async function userOf(
  member: { user_id?: string | undefined; user_email?: string | undefined },
  writer: IdentityWriter,
) {
  if (member.user_id === undefined && member.user_email === undefined) {
    throw invalid('member', 'member: name a user_id or a user_email');
  }
  const userId = member.user_id ?? (await byEmail(member.user_email, writer))?.userId ?? randomUUID();
  await provideUser(userId, writer, member.user_email);
  return userId;
}

export const byEmail = async (
  address: string | undefined,
  reader: IdentityReader,
): Promise<Rows['user'] | undefined> => {
  if (address === undefined) return undefined;
  const found = await reader.list('user', {}, { page: 1, size: 10 }, { field: 'userEmail', part: address });
  return found.find((user) => user.userEmail?.toLowerCase() === address.toLowerCase());
};

/** Adds somebody, or gives a member another role. */
export async function addMember(
  writer: IdentityWriter,
  teamId: string,
  member: MemberField,
  shared: z.output<typeof shareObject>,
): Promise<Rows['member']> {
  const userId = await userOf(member, writer);
  const before = await writer.lock('member', { teamId, userId });
  const limits = shareOf(before?.limits ?? noLimits, shared);
  const values = { teamId, userId, role: member.role, limits };
  const [row] =
    before === undefined
      ? [await writer.insert('member', values)]
      : await writer.update('member', { teamId, userId }, { role: member.role, limits });
  if (row === undefined) throw invalid('member', `member: ${userId} cannot be added`);
  await putAccounts(writer, 'member', memberId(teamId, userId), before?.limits ?? noLimits, limits);
  return row;
}

const add = defineRoute({
  method: 'POST',
  paths: ['/team/member_add'],
  tag: 'teams',
  summary: 'Add members; users who are new are made',
  needs: 'member',
  body: z.strictObject({ team_id: id, member: z.union([memberField, z.array(memberField).min(1).max(500)]), ...share }),
  example: { team_id: 'team-1', member: { role: 'user', user_id: 'alice' }, max_budget_in_team: 5 },
  write: async (writer, { body, principal }) => {
    const { team_id: teamId, member, ...shared } = body;
    const team = await teamToLead(principal, teamId, writer);
    const added: Rows['member'][] = [];
    for (const one of Array.isArray(member) ? member : [member])
      added.push(await addMember(writer, teamId, one, shared));
    const [answer] = await teamAnswers([team], writer);
    return {
      ...answer,
      updated_users: added.map(({ userId }) => ({ user_id: userId })),
      updated_team_memberships: await membershipAnswers(added, writer),
    };
  },
});

async function memberToLead(
  principal: Principal,
  body: { team_id: string; user_id?: string | undefined; user_email?: string | undefined },
  writer: IdentityWriter,
): Promise<Rows['member']> {
  await teamToLead(principal, body.team_id, writer);
  const userId = body.user_id ?? (await byEmail(body.user_email, writer))?.userId;
  const member = userId === undefined ? undefined : await writer.lock('member', { teamId: body.team_id, userId });
  if (member === undefined) throw notFound('Member', body.user_id ?? body.user_email ?? '(no user_id)');
  return member;
}

const update = defineRoute({
  method: 'POST',
  paths: ['/team/member_update'],
  tag: 'teams',
  summary: "Change a member's role or share",
  needs: 'member',
  body: z.strictObject({ team_id: id, ...named, role: z.enum(['admin', 'user']).optional(), ...share }),
  example: { team_id: 'team-1', user_id: 'alice', max_budget_in_team: 10 },
  write: async (writer, { body, principal }) => {
    const before = await memberToLead(principal, body, writer);
    const { teamId, userId } = before;
    const limits = shareOf(before.limits, body);
    const rows = await writer.update('member', { teamId, userId }, { role: body.role ?? before.role, limits });
    await putAccounts(writer, 'member', memberId(teamId, userId), before.limits, limits);
    const [answer] = await membershipAnswers(rows, writer);
    return { ...answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/team/member_delete'],
  tag: 'teams',
  summary: 'Take a member out of a team; its keys of the team end with it',
  needs: 'member',
  body: z.strictObject({ team_id: id, ...named }),
  example: { team_id: 'team-1', user_id: 'alice' },
  write: async (writer, { body, principal }) => {
    const { teamId, userId } = await memberToLead(principal, body, writer);
    await writer.remove('member', { teamId, userId });
    await removeAllKeys(writer, { teamId, userId });
    const [answer] = await teamAnswers(await writer.list('team', { teamId }, { page: 1, size: 1 }), writer);
    return { ...answer };
  },
});

/** Page by page, each page one smaller set than before. */
export async function removeAllKeys(
  writer: IdentityWriter,
  owners: { teamId?: string; userId?: string },
): Promise<Rows['key'][]> {
  const removed: Rows['key'][] = [];
  for (;;) {
    const rows = await writer.list('key', owners, { page: 1, size: 1_000 });
    if (rows.length === 0) return removed;
    await removeKeys(writer, rows);
    removed.push(...rows);
  }
}

export const teamMemberRoutes = [add, update, remove] as const;
