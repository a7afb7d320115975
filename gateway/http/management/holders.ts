/**
 * Organizations, teams, users and customers have much in common: limits of their own or shared ones, a switch, and mostly
 * models and metadata. What bodies state of it, what rows keep of it, and how clients read it.
 */
import { z } from 'zod';
import { accountId, type Level } from '../../domain/entitlements.ts';
import { applyLimitFields, type LimitFields } from '../../domain/limit-fields.ts';
import { type Limits, noLimits } from '../../domain/limits.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { id, limitFields, metadata, models } from './fields.ts';
import { type Bound, budgetsOf, changed, isoOf, limitsIn, moneyOf, sharedLimits, toBudgetTable } from './objects.ts';

export const boundFields = { ...limitFields, budget_id: id.nullish(), blocked: z.boolean().optional() };
export const holderFields = { models: models.nullish(), ...boundFields, metadata: metadata.nullish() };

type BoundBody = LimitFields & {
  readonly budget_id?: string | null | undefined;
  readonly blocked?: boolean | undefined;
};
type HolderBody = BoundBody & {
  readonly models?: string[] | null | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
};
type BoundState = Bound & { readonly blocked: boolean };
type HolderState = BoundState & Pick<Rows['team'], 'models' | 'metadata'>;

/** Before anything is stated of it. */
export const newHolder: HolderState = { limits: noLimits, blocked: false, models: [], metadata: {} };

/** Absent fields stay, null clears. @throws Refusal 400 for a budget that does not exist. */
export async function boundValues(
  body: BoundBody,
  before: BoundState,
  reader: IdentityReader,
): Promise<{ budgetId: string | undefined; blocked: boolean; limits: Limits }> {
  const budgetId = changed(body.budget_id, before.budgetId);
  await sharedLimits(budgetId, reader);
  const limits = applyLimitFields(before.limits, limitsIn(body));
  return { budgetId, blocked: body.blocked ?? before.blocked, limits };
}

/** The same, with models and metadata. */
export async function holderValues(body: HolderBody, before: HolderState, reader: IdentityReader) {
  return {
    ...(await boundValues(body, before, reader)),
    models: body.models === undefined ? before.models : (body.models ?? []),
    metadata: body.metadata === undefined ? before.metadata : (body.metadata ?? {}),
  };
}

/** Limits, spend and shared budget of each row, behind what is its own. */
export async function boundAnswers<Row extends Bound, Own extends object>(
  level: Level,
  rows: readonly Row[],
  idOf: (row: Row) => string,
  own: (row: Row) => Own,
  reader: IdentityReader,
) {
  const accounts = await reader.accounts(rows.map((row) => accountId(level, idOf(row))));
  const budgets = await budgetsOf(rows, reader);
  return rows.map((row) => ({
    ...own(row),
    ...moneyOf(level, idOf(row), row, accounts),
    litellm_budget_table: toBudgetTable(row.budgetId === undefined ? undefined : budgets.get(row.budgetId)),
  }));
}

/** What organizations, teams and users have besides. */
export const describedAnswer = (row: Rows['organization' | 'team' | 'user']) => ({
  models: row.models,
  blocked: row.blocked,
  metadata: row.metadata,
  created_by: row.createdBy ?? null,
  created_at: isoOf(row.createdAtMs),
  updated_at: isoOf(row.updatedAtMs),
});
