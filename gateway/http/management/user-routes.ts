/** `/user/*` */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { accountId } from '../../domain/entitlements.ts';
import { userRoles } from '../../domain/identity.ts';
import { applyLimitFields, toMicros } from '../../domain/limit-fields.ts';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { forbidden, invalid, notFound, seesAll } from './actor.ts';
import { alias, flag, id, ids, inertFields, paging } from './fields.ts';
import { boundAnswers, describedAnswer, holderFields, holderValues, newHolder } from './holders.ts';
import { keyAnswers } from './key-answers.ts';
import { keyFields } from './key-body.ts';
import { makeKey } from './key-changes.ts';
import { changed, isoOf, limitsIn, limitsInForce, putAccounts } from './objects.ts';
import { defineRoute } from './route.ts';
import { teamAnswers } from './team-answers.ts';
import { addMember, byEmail, removeAllKeys } from './team-members.ts';
import { teamsOf } from './team-routes.ts';

export const userAnswers = (rows: readonly Rows['user'][], reader: IdentityReader) =>
  boundAnswers(
    'user',
    rows,
    ({ userId }) => userId,
    (row) => ({
      user_id: row.userId,
      user_alias: row.userAlias ?? null,
      user_email: row.userEmail ?? null,
      user_role: row.userRole,
      ...describedAnswer(row),
    }),
    reader,
  );

const fields = {
  user_alias: alias.nullish(),
  user_email: z.email().max(320).nullish(),
  user_role: z.enum(userRoles).optional(),
  ...holderFields,
  spend: z.number().min(0).optional(),
};

const create = defineRoute({
  method: 'POST',
  paths: ['/user/new'],
  tag: 'users',
  summary: 'Make a user, and a first key of theirs',
  needs: 'admin',
  inert: [...inertFields, 'sso_user_id'],
  body: z.strictObject({
    user_id: id.optional(),
    ...fields,
    teams: z.array(id).max(500).optional(),
    auto_create_key: z.boolean().default(true).describe('false = without a key'),
    key_alias: alias.optional(),
    duration: keyFields.duration,
    aliases: keyFields.aliases,
  }),
  example: { user_id: 'alice', user_email: 'alice@example.com', user_role: 'internal_user', max_budget: 10 },
  write: async (writer, asked) => {
    const { body, principal, options, extra } = asked;
    const userId = body.user_id ?? randomUUID();
    const userRole = body.user_role ?? 'internal_user';
    // The operator's budget is for users; who administers has none.
    const defaults = userRole === 'internal_user' && body.budget_id == null ? options.policy.userBudget : {};
    const stated = Object.fromEntries(Object.entries(limitsIn(body)).filter(([, value]) => value !== undefined));
    const row = await writer.insert('user', {
      userId,
      userAlias: body.user_alias ?? undefined,
      userEmail: body.user_email ?? undefined,
      userRole,
      ...(await holderValues(body, newHolder, writer)),
      limits: applyLimitFields(noLimits, { ...defaults, ...stated }),
      extra,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('user_id', `user_id: ${userId} exists already; choose another`);
    await putAccounts(writer, 'user', userId, noLimits, await limitsInForce(row, writer));
    if (body.spend !== undefined) await writer.setSpent([accountId('user', userId)], toMicros(body.spend));
    for (const teamId of body.teams ?? []) {
      if ((await writer.lock('team', { teamId })) === undefined)
        throw invalid('teams', `teams: there is no team ${teamId}`);
      await addMember(writer, teamId, { role: 'user', user_id: userId }, {});
    }
    const [answer] = await userAnswers([row], writer);
    const made = body.auto_create_key
      ? await makeKey(
          writer,
          { ...asked, extra: {} },
          { user_id: userId, key_alias: body.key_alias, duration: body.duration, aliases: body.aliases },
        )
      : undefined;
    return {
      key: made?.secret ?? null,
      token: made?.row.keyHash ?? null,
      key_name: made?.row.keyName ?? null,
      key_alias: made?.row.keyAlias ?? null,
      expires: isoOf(made?.row.expiresAtMs),
      teams: body.teams ?? [],
      ...answer,
    };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/user/update'],
  tag: 'users',
  summary: 'Change a user; absent fields stay, null clears',
  needs: 'admin',
  inert: [...inertFields, 'sso_user_id'],
  body: z.strictObject({ user_id: id.optional(), ...fields }),
  example: { user_id: 'alice', max_budget: 20 },
  write: async (writer, { body, extra }) => {
    const userId = body.user_id ?? (await byEmail(body.user_email ?? undefined, writer))?.userId;
    if (userId === undefined) throw invalid('user_id', 'user_id: name the user, by user_id or by a known user_email');
    const before = await writer.lock('user', { userId });
    if (before === undefined) throw notFound('User', userId);
    const values = await holderValues(body, before, writer);
    const limitsBefore = await limitsInForce(before, writer);
    const [row] = await writer.update(
      'user',
      { userId },
      {
        userAlias: changed(body.user_alias, before.userAlias),
        userEmail: changed(body.user_email, before.userEmail),
        userRole: body.user_role ?? before.userRole,
        ...values,
        extra: { ...before.extra, ...extra },
      },
    );
    if (row === undefined) throw notFound('User', userId);
    await putAccounts(writer, 'user', userId, limitsBefore, await limitsInForce(row, writer));
    if (body.spend !== undefined) await writer.setSpent([accountId('user', userId)], toMicros(body.spend));
    const [answer] = await userAnswers([row], writer);
    return { user_id: userId, data: answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/user/delete'],
  tag: 'users',
  summary: 'End users with their memberships and keys',
  needs: 'admin',
  body: z.strictObject({ user_ids: ids }),
  example: { user_ids: ['alice'] },
  write: async (writer, { body }) => {
    for (const userId of body.user_ids) {
      if ((await writer.lock('user', { userId })) === undefined) throw notFound('User', userId);
    }
    let keys = 0;
    for (const userId of body.user_ids) {
      keys += (await removeAllKeys(writer, { userId })).length;
      await writer.remove('member', { userId });
      await writer.remove('organizationMember', { userId });
      await writer.remove('user', { userId });
    }
    return { deleted_users: body.user_ids, deleted_keys: keys };
  },
});

const info = defineRoute({
  method: 'GET',
  paths: ['/user/info'],
  tag: 'users',
  summary: 'A user with keys and teams. Without `user_id`, the one that asks',
  needs: 'viewer',
  query: z.strictObject({ user_id: id.optional(), ...paging }),
  read: async (reader, { query, principal }) => {
    const userId = query.user_id ?? principal.userId;
    if (userId === undefined) throw invalid('user_id', 'user_id: this key has no user; name one');
    if (!seesAll(principal) && userId !== principal.userId) throw forbidden(`Looking at user ${userId}`);
    const user = await reader.find('user', { userId });
    if (user === undefined) throw notFound('User', userId);
    const keys = await reader.list(
      'key',
      { userId, supersededAtMs: null },
      { page: query.page, size: query.page_size },
    );
    const teams = await reader.list(
      'team',
      { teamId: await teamsOf(userId, reader) },
      { page: 1, size: query.page_size },
    );
    const [answer] = await userAnswers([user], reader);
    return {
      user_id: userId,
      user_info: answer,
      keys: await keyAnswers(keys, reader),
      teams: await teamAnswers(teams, reader),
    };
  },
});

const list = defineRoute({
  method: 'GET',
  paths: ['/user/list'],
  tag: 'users',
  summary: 'Users, newest first',
  needs: 'viewer',
  query: z.strictObject({
    ...paging,
    page_size: z.coerce.number().int().min(1).max(1_000).default(25),
    role: z.enum(userRoles).optional(),
    user_ids: z.string().max(10_000).optional().describe('separated by commas'),
    user_email: z.string().max(320).optional().describe('a part of the address'),
    blocked: flag,
  }),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Listing users');
    const filter = {
      userRole: query.role,
      userId: query.user_ids?.split(',').map((one) => one.trim()),
      blocked: query.blocked,
    };
    const search =
      query.user_email === undefined ? undefined : ({ field: 'userEmail', part: query.user_email } as const);
    const total = await reader.count('user', filter, search);
    const rows = await reader.list('user', filter, { page: query.page, size: query.page_size }, search);
    return {
      users: await userAnswers(rows, reader),
      total,
      page: query.page,
      page_size: query.page_size,
      total_pages: Math.ceil(total / query.page_size),
    };
  },
});

export const userRoutes = [create, update, remove, info, list] as const;
