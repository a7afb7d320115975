/** `/organization/*` */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { administersOrganization, forbidden, invalid, notFound, type Principal, seesAll } from './actor.ts';
import { alias, id, ids, inertFields, pageOf, paging } from './fields.ts';
import { boundAnswers, describedAnswer, holderFields, holderValues, newHolder } from './holders.ts';
import { provideUser } from './key-making.ts';
import { changed, isoOf, limitsInForce, putAccounts } from './objects.ts';
import { defineRoute } from './route.ts';
import { teamAnswers } from './team-answers.ts';
import { byEmail } from './team-members.ts';

const toAnswers = (rows: readonly Rows['organization'][], reader: IdentityReader) =>
  boundAnswers(
    'organization',
    rows,
    ({ organizationId }) => organizationId,
    (row) => ({
      organization_id: row.organizationId,
      organization_alias: row.organizationAlias ?? null,
      ...describedAnswer(row),
    }),
    reader,
  );

const create = defineRoute({
  method: 'POST',
  paths: ['/organization/new'],
  tag: 'organizations',
  summary: 'Make an organization: a budget and models above teams',
  needs: 'admin',
  inert: inertFields,
  body: z.strictObject({ organization_id: id.optional(), organization_alias: alias, ...holderFields }),
  example: { organization_alias: 'research', models: ['gpt-4o'], max_budget: 1_000, budget_duration: '30d' },
  write: async (writer, { body, principal, extra }) => {
    const organizationId = body.organization_id ?? randomUUID();
    const row = await writer.insert('organization', {
      organizationId,
      organizationAlias: body.organization_alias,
      ...(await holderValues(body, newHolder, writer)),
      extra,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined)
      throw invalid('organization_id', `organization_id: ${organizationId} exists already; choose another`);
    await putAccounts(writer, 'organization', organizationId, noLimits, await limitsInForce(row, writer));
    const [answer] = await toAnswers([row], writer);
    return { ...answer };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/organization/update'],
  tag: 'organizations',
  summary: 'Change an organization; absent fields stay, null clears',
  needs: 'admin',
  inert: inertFields,
  body: z.strictObject({ organization_id: id, organization_alias: alias.nullish(), ...holderFields }),
  example: { organization_id: 'research', max_budget: 2_000 },
  write: async (writer, { body, extra }) => {
    const organizationId = body.organization_id;
    const before = await writer.lock('organization', { organizationId });
    if (before === undefined) throw notFound('Organization', organizationId);
    const values = await holderValues(body, before, writer);
    const limitsBefore = await limitsInForce(before, writer);
    const [row] = await writer.update(
      'organization',
      { organizationId },
      {
        organizationAlias: changed(body.organization_alias, before.organizationAlias),
        ...values,
        extra: { ...before.extra, ...extra },
      },
    );
    if (row === undefined) throw notFound('Organization', organizationId);
    await putAccounts(writer, 'organization', organizationId, limitsBefore, await limitsInForce(row, writer));
    const [answer] = await toAnswers([row], writer);
    return { ...answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/organization/delete'],
  tag: 'organizations',
  summary: 'End organizations. Refused while they have teams or keys',
  needs: 'admin',
  body: z.strictObject({ organization_ids: ids }),
  example: { organization_ids: ['research'] },
  write: async (writer, { body }) => {
    const deleted: Rows['organization'][] = [];
    for (const organizationId of body.organization_ids) {
      const row = await writer.lock('organization', { organizationId });
      if (row === undefined) throw notFound('Organization', organizationId);
      const held = (await writer.count('team', { organizationId })) + (await writer.count('key', { organizationId }));
      if (held > 0) {
        throw invalid(
          'organization_ids',
          `organization_ids: ${organizationId} still has ${held} teams or keys; end or move them first`,
        );
      }
      await writer.remove('organizationMember', { organizationId });
      await writer.remove('organization', { organizationId });
      deleted.push(row);
    }
    return toAnswers(deleted, writer);
  },
});

async function requireSight(principal: Principal, organizationId: string, reader: IdentityReader): Promise<void> {
  const { userId } = principal;
  if (seesAll(principal)) return;
  if (userId === undefined || !(await administersOrganization(userId, organizationId, reader))) {
    throw forbidden(`Looking at organization ${organizationId}`);
  }
}

const info = defineRoute({
  method: 'GET',
  paths: ['/organization/info'],
  tag: 'organizations',
  summary: 'An organization with its members and teams',
  needs: 'viewer',
  query: z.strictObject({ organization_id: id, ...paging }),
  read: async (reader, { query, principal }) => {
    const organizationId = query.organization_id;
    await requireSight(principal, organizationId, reader);
    const row = await reader.find('organization', { organizationId });
    if (row === undefined) throw notFound('Organization', organizationId);
    const members = await reader.list('organizationMember', { organizationId }, pageOf(query));
    const teams = await reader.list('team', { organizationId }, pageOf(query));
    const [answer] = await toAnswers([row], reader);
    return { ...answer, members: members.map(toMember), teams: await teamAnswers(teams, reader) };
  },
});

const toMember = (row: Rows['organizationMember']) => ({
  organization_id: row.organizationId,
  user_id: row.userId,
  user_role: row.userRole,
  created_at: isoOf(row.createdAtMs),
});

const list = defineRoute({
  method: 'GET',
  paths: ['/organization/list'],
  tag: 'organizations',
  summary: 'Organizations, newest first; of those who administer some, theirs',
  needs: 'viewer',
  query: z.strictObject(paging),
  read: async (reader, { query, principal }) => {
    if (seesAll(principal)) return toAnswers(await reader.list('organization', {}, pageOf(query)), reader);
    if (principal.userId === undefined) throw forbidden('Listing organizations');
    const own = await reader.list(
      'organizationMember',
      { userId: principal.userId, userRole: 'org_admin' },
      { page: 1, size: 1_000 },
    );
    const filter = { organizationId: own.map((member) => member.organizationId) };
    return toAnswers(await reader.list('organization', filter, pageOf(query)), reader);
  },
});

const memberField = z.strictObject({
  role: z.enum(['org_admin', 'internal_user', 'internal_user_viewer']).default('internal_user'),
  user_id: id.optional(),
  user_email: z.email().max(320).optional(),
});

const addMember = defineRoute({
  method: 'POST',
  paths: ['/organization/member_add'],
  tag: 'organizations',
  summary: 'Add members; users who are new are made',
  needs: 'admin',
  body: z.strictObject({ organization_id: id, member: z.union([memberField, z.array(memberField).min(1).max(500)]) }),
  example: { organization_id: 'research', member: { role: 'org_admin', user_id: 'alice' } },
  write: async (writer, { body }) => {
    const organizationId = body.organization_id;
    if ((await writer.lock('organization', { organizationId })) === undefined)
      throw notFound('Organization', organizationId);
    const added: Rows['organizationMember'][] = [];
    for (const member of Array.isArray(body.member) ? body.member : [body.member]) {
      const userId = member.user_id ?? (await byEmail(member.user_email, writer))?.userId;
      if (userId === undefined) throw invalid('member', 'member: name a user_id, or the user_email of a user');
      await provideUser(userId, writer);
      const known = await writer.lock('organizationMember', { organizationId, userId });
      const [row] =
        known === undefined
          ? [await writer.insert('organizationMember', { organizationId, userId, userRole: member.role })]
          : await writer.update('organizationMember', { organizationId, userId }, { userRole: member.role });
      if (row !== undefined) added.push(row);
    }
    return {
      organization_id: organizationId,
      updated_users: added.map(({ userId }) => ({ user_id: userId })),
      updated_organization_memberships: added.map(toMember),
    };
  },
});

const removeMember = defineRoute({
  method: 'POST',
  paths: ['/organization/member_delete'],
  tag: 'organizations',
  summary: 'Take a member out of an organization',
  needs: 'admin',
  body: z.strictObject({ organization_id: id, user_id: id }),
  example: { organization_id: 'research', user_id: 'alice' },
  write: async (writer, { body }) => {
    const rows = await writer.remove('organizationMember', {
      organizationId: body.organization_id,
      userId: body.user_id,
    });
    if (rows.length === 0) throw notFound('Member', body.user_id);
    return { organization_id: body.organization_id, user_id: body.user_id };
  },
});

export const organizationRoutes = [create, update, remove, info, list, addMember, removeMember] as const;
