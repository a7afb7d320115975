/** `/customer/*`, also as `/end_user/*`: the customers of callers, whom requests name in `user`. */
import { z } from 'zod';
import { noLimits } from '../../domain/limits.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { forbidden, invalid, notFound, seesAll } from './actor.ts';
import { alias, id, ids, pageOf, paging } from './fields.ts';
import { boundAnswers, boundFields, boundValues, newHolder } from './holders.ts';
import { changed, limitsInForce, putAccounts } from './objects.ts';
import { defineRoute } from './route.ts';

const paths = (name: string) => [`/customer/${name}`, `/end_user/${name}`] as const;

const toAnswers = (rows: readonly Rows['endUser'][], reader: IdentityReader) =>
  boundAnswers(
    'endUser',
    rows,
    ({ endUserId }) => endUserId,
    (row) => ({
      user_id: row.endUserId,
      alias: row.alias ?? null,
      blocked: row.blocked,
      allowed_model_region: row.rules.allowedModelRegion ?? null,
      default_model: row.extra['default_model'] ?? null,
    }),
    reader,
  );

const fields = {
  alias: alias.nullish(),
  ...boundFields,
  allowed_model_region: z.string().max(20).nullish(),
};
/** This version does not choose models for customers. */
const inert = ['default_model', 'object_permission'];

const create = defineRoute({
  method: 'POST',
  paths: paths('new'),
  tag: 'customers',
  summary: 'Make a customer with limits of its own',
  needs: 'admin',
  inert,
  body: z.strictObject({ user_id: id, ...fields }),
  example: { user_id: 'customer-7', max_budget: 1, budget_duration: '24h' },
  write: async (writer, { body, principal, extra }) => {
    const row = await writer.insert('endUser', {
      endUserId: body.user_id,
      alias: body.alias ?? undefined,
      ...(await boundValues(body, newHolder, writer)),
      rules: { allowedModelRegion: body.allowed_model_region ?? undefined },
      extra,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('user_id', `user_id: customer ${body.user_id} exists already`);
    await putAccounts(writer, 'endUser', row.endUserId, noLimits, await limitsInForce(row, writer));
    const [answer] = await toAnswers([row], writer);
    return { ...answer };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: paths('update'),
  tag: 'customers',
  summary: 'Change a customer; absent fields stay, null clears',
  needs: 'admin',
  inert,
  body: z.strictObject({ user_id: id, ...fields }),
  example: { user_id: 'customer-7', blocked: true },
  write: async (writer, { body, extra }) => {
    const endUserId = body.user_id;
    const before = await writer.lock('endUser', { endUserId });
    if (before === undefined) throw notFound('Customer', endUserId);
    const values = await boundValues(body, before, writer);
    const limitsBefore = await limitsInForce(before, writer);
    const [row] = await writer.update(
      'endUser',
      { endUserId },
      {
        alias: changed(body.alias, before.alias),
        ...values,
        rules: { allowedModelRegion: changed(body.allowed_model_region, before.rules.allowedModelRegion) },
        extra: { ...before.extra, ...extra },
      },
    );
    if (row === undefined) throw notFound('Customer', endUserId);
    await putAccounts(writer, 'endUser', endUserId, limitsBefore, await limitsInForce(row, writer));
    const [answer] = await toAnswers([row], writer);
    return { ...answer };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: paths('delete'),
  tag: 'customers',
  summary: 'Forget customers and their limits',
  needs: 'admin',
  body: z.strictObject({ user_ids: ids }),
  example: { user_ids: ['customer-7'] },
  write: async (writer, { body }) => {
    const rows = await writer.remove('endUser', { endUserId: body.user_ids });
    if (rows.length === 0) throw notFound('Customer', body.user_ids.join(', '));
    for (const row of rows) await putAccounts(writer, 'endUser', row.endUserId, row.limits, noLimits);
    return { deleted_customers: rows.map((row) => row.endUserId), message: `Deleted ${rows.length} customers` };
  },
});

const switchRoute = (name: 'block' | 'unblock') =>
  defineRoute({
    method: 'POST',
    paths: paths(name),
    tag: 'customers',
    summary: name === 'block' ? 'Refuse requests for customers; unknown ones are made' : 'Serve customers again',
    needs: 'admin',
    body: z.strictObject({ user_ids: ids }),
    example: { user_ids: ['customer-7'] },
    write: async (writer, { body }) => {
      const rows = await writer.update('endUser', { endUserId: body.user_ids }, { blocked: name === 'block' });
      const missing = body.user_ids.filter((endUserId) => !rows.some((row) => row.endUserId === endUserId));
      for (const endUserId of name === 'block' ? missing : []) {
        const made = await writer.insert('endUser', { endUserId, blocked: true });
        if (made !== undefined) rows.push(made);
      }
      return { [name === 'block' ? 'blocked_users' : 'unblocked_users']: await toAnswers(rows, writer) };
    },
  });

const info = defineRoute({
  method: 'GET',
  paths: paths('info'),
  tag: 'customers',
  summary: 'A customer: limits and spend',
  needs: 'viewer',
  query: z.strictObject({ end_user_id: id }),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Looking at customers');
    const row = await reader.find('endUser', { endUserId: query.end_user_id });
    if (row === undefined) throw notFound('Customer', query.end_user_id);
    const [answer] = await toAnswers([row], reader);
    return { ...answer };
  },
});

const list = defineRoute({
  method: 'GET',
  paths: paths('list'),
  tag: 'customers',
  summary: 'Customers, newest first',
  needs: 'viewer',
  query: z.strictObject(paging),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Listing customers');
    return toAnswers(await reader.list('endUser', {}, pageOf(query)), reader);
  },
});

export const customerRoutes = [
  create,
  update,
  remove,
  switchRoute('block'),
  switchRoute('unblock'),
  info,
  list,
] as const;
