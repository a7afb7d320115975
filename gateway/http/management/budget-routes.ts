/** `/budget/*`: limits that several objects share. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { applyLimitFields, toLimitFields } from '../../domain/limit-fields.ts';
import { noLimits } from '../../domain/limits.ts';
import type { Rows } from '../../domain/management.ts';
import { forbidden, invalid, notFound, seesAll } from './actor.ts';
import { id, ids, limitFields, pageOf, paging } from './fields.ts';
import { isoOf, limitsIn, putAccountsOfBudget } from './objects.ts';
import { defineRoute } from './route.ts';

const toAnswer = (row: Rows['budget']) => ({
  budget_id: row.budgetId,
  ...toLimitFields(row.limits),
  created_by: row.createdBy ?? null,
  created_at: isoOf(row.createdAtMs),
  updated_at: isoOf(row.updatedAtMs),
});

const create = defineRoute({
  method: 'POST',
  paths: ['/budget/new'],
  tag: 'budgets',
  summary: 'Make a set of limits that keys, teams, users and customers can share',
  needs: 'admin',
  body: z.strictObject({ budget_id: id.optional(), ...limitFields }),
  example: { budget_id: 'small', max_budget: 1, budget_duration: '24h', rpm_limit: 60 },
  write: async (writer, { body, principal }) => {
    const budgetId = body.budget_id ?? randomUUID();
    const limits = applyLimitFields(noLimits, limitsIn(body));
    const row = await writer.insert('budget', {
      budgetId,
      limits,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('budget_id', `budget_id: ${budgetId} exists already; choose another`);
    return toAnswer(row);
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/budget/update'],
  tag: 'budgets',
  summary: 'Change shared limits, for everybody who has them',
  needs: 'admin',
  body: z.strictObject({ budget_id: id, ...limitFields }),
  example: { budget_id: 'small', max_budget: 2 },
  write: async (writer, { body }) => {
    const budgetId = body.budget_id;
    const before = await writer.lock('budget', { budgetId });
    if (before === undefined) throw notFound('Budget', budgetId);
    const limits = applyLimitFields(before.limits, limitsIn(body));
    const [row] = await writer.update('budget', { budgetId }, { limits });
    await putAccountsOfBudget(writer, budgetId, before.limits, limits);
    return toAnswer(row ?? before);
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/budget/delete'],
  tag: 'budgets',
  summary: 'End shared limits. Refused while somebody has them: they would be without limits',
  needs: 'admin',
  body: z.strictObject({ id }),
  example: { id: 'small' },
  write: async (writer, { body }) => {
    const budgetId = body.id;
    const budget = await writer.lock('budget', { budgetId });
    if (budget === undefined) throw notFound('Budget', budgetId);
    for (const kind of ['key', 'team', 'user', 'member', 'organization', 'endUser'] as const) {
      const holders = await writer.count(kind, { budgetId });
      if (holders > 0)
        throw invalid('id', `id: ${holders} of kind ${kind} still have budget ${budgetId}; give them another first`);
    }
    await writer.remove('budget', { budgetId });
    return toAnswer(budget);
  },
});

const info = defineRoute({
  method: 'POST',
  paths: ['/budget/info'],
  tag: 'budgets',
  summary: 'Budgets by id',
  needs: 'viewer',
  body: z.strictObject({ budgets: ids }),
  example: { budgets: ['small'] },
  read: async (reader, { body, principal }) => {
    if (!seesAll(principal)) throw forbidden('Looking at budgets');
    return (await reader.list('budget', { budgetId: body.budgets }, { page: 1, size: 1_000 })).map(toAnswer);
  },
});

const list = defineRoute({
  method: 'GET',
  paths: ['/budget/list'],
  tag: 'budgets',
  summary: 'Budgets, newest first',
  needs: 'viewer',
  query: z.strictObject(paging),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Listing budgets');
    return (await reader.list('budget', {}, pageOf(query))).map(toAnswer);
  },
});

const settings = defineRoute({
  method: 'GET',
  paths: ['/budget/settings'],
  tag: 'budgets',
  summary: 'The fields of a budget with their values',
  needs: 'viewer',
  query: z.strictObject({ budget_id: id }),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Looking at budgets');
    const budget = await reader.find('budget', { budgetId: query.budget_id });
    if (budget === undefined) throw notFound('Budget', query.budget_id);
    return Object.entries(toLimitFields(budget.limits)).map(([name, value]) => ({
      field_name: name,
      field_value: value,
      stored_in_db: value !== null,
    }));
  },
});

export const budgetRoutes = [create, update, remove, info, list, settings] as const;
