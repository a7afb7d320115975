/** `/team/*` */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityReader, IdentityWriter, Rows } from '../../domain/management.ts';
import {
  administers,
  administersOrganization,
  forbidden,
  invalid,
  isAdmin,
  memberOf,
  notFound,
  type Principal,
  seesAll,
} from './actor.ts';
import { alias, aliases, id, ids, inertFields, models, names, pageOf, paging } from './fields.ts';
import { holderFields, holderValues, newHolder } from './holders.ts';
import { keyAnswers } from './key-answers.ts';
import { changed, limitsInForce, putAccounts } from './objects.ts';
import { defineRoute } from './route.ts';
import { membershipAnswers, mostMembers, teamAnswers } from './team-answers.ts';
import { addMember, memberField, removeAllKeys, teamMemberRoutes } from './team-members.ts';

const fields = {
  team_alias: alias.nullish(),
  organization_id: id.nullish(),
  ...holderFields,
  models: holderFields.models.describe('model groups; empty = all'),
  model_aliases: aliases.nullish(),
  tags: names.nullish(),
};

/** Administrators, and those of the organization that the team is in: a team's limits are not its own affair. */
async function requireAbove(
  principal: Principal,
  organizationId: string | undefined,
  what: string,
  reader: IdentityReader,
): Promise<void> {
  if (isAdmin(principal)) return;
  const { userId, role } = principal;
  const leads =
    organizationId !== undefined &&
    userId !== undefined &&
    role === 'internal_user' &&
    (await administersOrganization(userId, organizationId, reader));
  if (!leads) throw forbidden(what);
}

async function teamToGovern(principal: Principal, teamId: string, writer: IdentityWriter): Promise<Rows['team']> {
  const team = await writer.lock('team', { teamId });
  await requireAbove(principal, team?.organizationId, `Changing team ${teamId}`, writer);
  if (team === undefined) throw notFound('Team', teamId);
  return team;
}

async function requireOrganization(organizationId: string | undefined, writer: IdentityWriter): Promise<void> {
  if (organizationId === undefined || (await writer.lock('organization', { organizationId })) !== undefined) return;
  throw invalid('organization_id', `organization_id: there is no organization ${organizationId}`);
}

const create = defineRoute({
  method: 'POST',
  paths: ['/team/new'],
  tag: 'teams',
  summary: 'Make a team',
  needs: 'member',
  inert: inertFields,
  body: z.strictObject({
    team_id: id.optional(),
    ...fields,
    members_with_roles: z.array(memberField).max(500).optional(),
    admins: z.array(id).max(500).optional(),
    members: z.array(id).max(500).optional(),
  }),
  example: { team_alias: 'search', models: ['gpt-4o'], max_budget: 100, budget_duration: '30d' },
  write: async (writer, { body, principal, extra }) => {
    const organizationId = body.organization_id ?? undefined;
    await requireAbove(principal, organizationId, 'Making a team', writer);
    await requireOrganization(organizationId, writer);
    const teamId = body.team_id ?? randomUUID();
    const row = await writer.insert('team', {
      teamId,
      teamAlias: body.team_alias ?? undefined,
      organizationId,
      ...(await holderValues(body, newHolder, writer)),
      rules: { aliases: body.model_aliases ?? undefined, tags: body.tags ?? undefined },
      extra,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('team_id', `team_id: ${teamId} exists already; choose another`);
    await putAccounts(writer, 'team', teamId, noLimits, await limitsInForce(row, writer));
    const members = [
      ...(body.members_with_roles ?? []),
      ...(body.admins ?? []).map((userId) => ({ role: 'admin', user_id: userId }) as const),
      ...(body.members ?? []).map((userId) => ({ role: 'user', user_id: userId }) as const),
    ];
    for (const member of members) await addMember(writer, teamId, member, {});
    const [answer] = await teamAnswers([row], writer);
    return { ...answer };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/team/update'],
  tag: 'teams',
  summary: 'Change a team; absent fields stay, null clears',
  needs: 'member',
  inert: inertFields,
  body: z.strictObject({ team_id: id, ...fields }),
  example: { team_id: 'team-1', max_budget: 200 },
  write: async (writer, { body, principal, extra }) => {
    const before = await teamToGovern(principal, body.team_id, writer);
    const organizationId = changed(body.organization_id, before.organizationId);
    if (organizationId !== before.organizationId) {
      await requireAbove(principal, organizationId, `Moving team ${body.team_id}`, writer);
      await requireOrganization(organizationId, writer);
    }
    const values = await holderValues(body, before, writer);
    const limitsBefore = await limitsInForce(before, writer);
    const [row] = await writer.update(
      'team',
      { teamId: before.teamId },
      {
        teamAlias: changed(body.team_alias, before.teamAlias),
        organizationId,
        ...values,
        rules: {
          ...before.rules,
          aliases: changed(body.model_aliases, before.rules.aliases),
          tags: changed(body.tags, before.rules.tags),
        },
        extra: { ...before.extra, ...extra },
      },
    );
    if (row === undefined) throw notFound('Team', before.teamId);
    await putAccounts(writer, 'team', row.teamId, limitsBefore, await limitsInForce(row, writer));
    const [answer] = await teamAnswers([row], writer);
    return { team_id: row.teamId, data: answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/team/delete'],
  tag: 'teams',
  summary: 'End teams with their memberships and keys',
  needs: 'member',
  body: z.strictObject({ team_ids: ids }),
  example: { team_ids: ['team-1'] },
  write: async (writer, { body, principal }) => {
    for (const teamId of body.team_ids) await teamToGovern(principal, teamId, writer);
    let keys = 0;
    for (const teamId of body.team_ids) {
      keys += (await removeAllKeys(writer, { teamId })).length;
      await writer.remove('member', { teamId });
      await writer.remove('team', { teamId });
    }
    return { deleted_teams: body.team_ids, deleted_keys: keys };
  },
});

const switchRoute = (name: 'block' | 'unblock') =>
  defineRoute({
    method: 'POST',
    paths: [`/team/${name}`],
    tag: 'teams',
    summary: name === 'block' ? 'Refuse all keys of a team' : 'Let the keys of a team in again',
    needs: 'member',
    body: z.strictObject({ team_id: id }),
    example: { team_id: 'team-1' },
    write: async (writer, { body, principal }) => {
      await teamToGovern(principal, body.team_id, writer);
      const rows = await writer.update('team', { teamId: body.team_id }, { blocked: name === 'block' });
      const [answer] = await teamAnswers(rows, writer);
      return { ...answer };
    },
  });

const modelRoute = (name: 'add' | 'delete') =>
  defineRoute({
    method: 'POST',
    paths: [`/team/model/${name}`],
    tag: 'teams',
    summary: name === 'add' ? 'Let a team use more model groups' : 'Take model groups from a team',
    needs: 'member',
    body: z.strictObject({ team_id: id, models: models.min(1) }),
    example: { team_id: 'team-1', models: ['gpt-4o'] },
    write: async (writer, { body, principal }) => {
      const team = await teamToGovern(principal, body.team_id, writer);
      const left =
        name === 'add'
          ? [...new Set([...team.models, ...body.models])]
          : team.models.filter((model) => !body.models.includes(model));
      if (name === 'delete' && left.length === 0) {
        throw invalid(
          'models',
          'models: this would leave none, and an empty list lets a team use all; use /team/block',
        );
      }
      if (name === 'add' && team.models.length === 0) {
        throw invalid('models', 'models: this team may use all model groups; state its list with /team/update');
      }
      const rows = await writer.update('team', { teamId: team.teamId }, { models: left });
      const [answer] = await teamAnswers(rows, writer);
      return { ...answer };
    },
  });

const info = defineRoute({
  method: 'GET',
  paths: ['/team/info'],
  tag: 'teams',
  summary: 'A team, its members and its keys',
  needs: 'viewer',
  query: z.strictObject({ team_id: id, ...paging }),
  read: async (reader, { query, principal }) => {
    const teamId = query.team_id;
    const team = await reader.find('team', { teamId });
    const leads = await administers(principal, { teamId }, reader);
    const { userId } = principal;
    const isMember = userId !== undefined && (await memberOf(teamId, userId, reader)) !== undefined;
    if (!seesAll(principal) && !leads && !isMember) throw forbidden(`Looking at team ${teamId}`);
    if (team === undefined) throw notFound('Team', teamId);
    // Members see themselves and their own keys; who leads sees all.
    const own = seesAll(principal) || leads ? {} : { userId };
    const keys = await reader.list('key', { teamId, ...own, supersededAtMs: null }, pageOf(query));
    const members = await reader.list('member', { teamId, ...own }, { page: 1, size: mostMembers });
    const [answer] = await teamAnswers([team], reader);
    return {
      team_id: teamId,
      team_info: answer,
      keys: await keyAnswers(keys, reader),
      team_memberships: await membershipAnswers(members, reader),
    };
  },
});

const list = defineRoute({
  method: 'GET',
  paths: ['/team/list'],
  tag: 'teams',
  summary: 'Teams, newest first',
  needs: 'viewer',
  query: z.strictObject({
    ...paging,
    user_id: id.optional(),
    organization_id: id.optional(),
    team_alias: alias.optional(),
  }),
  read: async (reader, { query, principal }) => {
    const { organization_id: organizationId, team_alias: teamAlias } = query;
    let userId = query.user_id;
    if (!seesAll(principal)) {
      const leads =
        organizationId !== undefined &&
        principal.userId !== undefined &&
        principal.role === 'internal_user' &&
        (await administersOrganization(principal.userId, organizationId, reader));
      if (!leads) {
        if (userId !== undefined && userId !== principal.userId) throw forbidden('Listing teams of others');
        userId = principal.userId;
      }
    }
    const teamId = userId === undefined ? undefined : await teamsOf(userId, reader);
    const rows = await reader.list('team', { organizationId, teamAlias, teamId }, pageOf(query));
    return teamAnswers(rows, reader);
  },
});

export async function teamsOf(userId: string, reader: IdentityReader): Promise<string[]> {
  return (await reader.list('member', { userId }, { page: 1, size: 1_000 })).map((member) => member.teamId);
}

export const teamRoutes = [
  create,
  update,
  remove,
  switchRoute('block'),
  switchRoute('unblock'),
  modelRoute('add'),
  modelRoute('delete'),
  info,
  list,
  ...teamMemberRoutes,
] as const;
