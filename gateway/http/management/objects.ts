/** What several objects have in common: limits with their accounts, the budgets they share, and how a client reads both. */
import { accountId, type Level } from '../../domain/entitlements.ts';
import { type LimitFields, toDollars, toLimitFields } from '../../domain/limit-fields.ts';
import { accountsOf, effectiveLimits, type Limits } from '../../domain/limits.ts';
import type { AccountState, IdentityReader, IdentityWriter, Rows } from '../../domain/management.ts';
import { invalid } from './actor.ts';

/** @throws Refusal 400 for a budget that does not exist. */
export async function sharedLimits(budgetId: string | undefined, reader: IdentityReader): Promise<Limits | undefined> {
  if (budgetId === undefined) return undefined;
  const budget = await reader.find('budget', { budgetId });
  if (budget === undefined)
    throw invalid('budget_id', `budget_id: there is no budget ${budgetId}; make it with /budget/new`);
  return budget.limits;
}

export interface Bound {
  readonly limits: Limits;
  readonly budgetId?: string | undefined;
}

/** Those that hold, the shared ones included. A budget that was deleted binds nobody. */
export async function limitsInForce({ limits, budgetId }: Bound, reader: IdentityReader): Promise<Limits> {
  if (budgetId === undefined) return limits;
  return effectiveLimits(limits, (await reader.find('budget', { budgetId }))?.limits);
}

/** Brings an object's accounts up to date; one that it no longer has becomes unlimited. */
export async function putAccounts(
  writer: IdentityWriter,
  level: Level,
  id: string,
  before: Limits,
  after: Limits,
): Promise<void> {
  const wanted = accountsOf(level, id, after);
  const gone = accountsOf(level, id, before).filter((old) => !wanted.some((account) => account.id === old.id));
  const all = [...wanted, ...gone.map((old) => ({ id: old.id, maxMicros: null, duration: undefined }))];
  // In the order in which everybody locks accounts.
  for (const account of all.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    await writer.putAccount(account.id, account.maxMicros, account.duration);
  }
}

/** Every object that shares a budget, after the budget changed. */
export async function putAccountsOfBudget(
  writer: IdentityWriter,
  budgetId: string,
  before: Limits,
  after: Limits | undefined,
): Promise<void> {
  const page = { page: 1, size: 1_000 };
  const put = async (level: Level, rows: readonly { id: string; limits: Limits }[]): Promise<void> => {
    for (const { id, limits } of rows) {
      await putAccounts(writer, level, id, effectiveLimits(limits, before), effectiveLimits(limits, after));
    }
  };
  const of = { budgetId };
  await put(
    'key',
    (await allOf((at) => writer.list('key', { ...of, supersededAtMs: null }, at), page)).map((row) => ({
      id: row.keyId,
      limits: row.limits,
    })),
  );
  await put(
    'member',
    (await allOf((at) => writer.list('member', of, at), page)).map((row) => ({
      id: `${row.teamId}/${row.userId}`,
      limits: row.limits,
    })),
  );
  await put(
    'endUser',
    (await allOf((at) => writer.list('endUser', of, at), page)).map((row) => ({
      id: row.endUserId,
      limits: row.limits,
    })),
  );
  await put(
    'user',
    (await allOf((at) => writer.list('user', of, at), page)).map((row) => ({ id: row.userId, limits: row.limits })),
  );
  await put(
    'team',
    (await allOf((at) => writer.list('team', of, at), page)).map((row) => ({ id: row.teamId, limits: row.limits })),
  );
  await put(
    'organization',
    (await allOf((at) => writer.list('organization', of, at), page)).map((row) => ({
      id: row.organizationId,
      limits: row.limits,
    })),
  );
}

/** Page by page to the end. */
async function allOf<Row>(
  ask: (page: { page: number; size: number }) => Promise<Row[]>,
  { size }: { size: number },
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let page = 1; ; page++) {
    const more = await ask({ page, size });
    rows.push(...more);
    if (more.length < size) return rows;
  }
}

/** Limit fields of a body, without its other fields. */
export function limitsIn(body: LimitFields): LimitFields {
  const { max_budget, soft_budget, budget_duration, budget_limits, max_parallel_requests, tpm_limit, rpm_limit } = body;
  const { model_max_budget, model_tpm_limit, model_rpm_limit } = body;
  return {
    max_budget,
    soft_budget,
    budget_duration,
    budget_limits,
    max_parallel_requests,
    tpm_limit,
    rpm_limit,
    model_max_budget,
    model_tpm_limit,
    model_rpm_limit,
  };
}

/** Spend and limits as every answer has them. */
export function moneyOf(level: Level, id: string, bound: Bound, accounts: ReadonlyMap<string, AccountState>) {
  const account = accounts.get(accountId(level, id));
  return {
    ...toLimitFields(bound.limits),
    budget_id: bound.budgetId ?? null,
    spend: toDollars(account?.spentMicros ?? 0n),
    budget_reset_at: isoOf(account?.windowEndMs),
  };
}

export const isoOf = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

export const toBudgetTable = (budget: Rows['budget'] | undefined): object | null =>
  budget === undefined ? null : { budget_id: budget.budgetId, ...toLimitFields(budget.limits) };

/** Budgets that rows refer to, by id. */
export async function budgetsOf(
  rows: readonly Bound[],
  reader: IdentityReader,
): Promise<ReadonlyMap<string, Rows['budget']>> {
  const budgetIds = [...new Set(rows.flatMap(({ budgetId }) => (budgetId === undefined ? [] : [budgetId])))];
  if (budgetIds.length === 0) return new Map();
  const budgets = await reader.list('budget', { budgetId: budgetIds }, { page: 1, size: budgetIds.length });
  return new Map(budgets.map((budget) => [budget.budgetId, budget]));
}

/** Keeps a value, takes another, or clears it: absent, stated, null. */
export const changed = <Value>(stated: Value | null | undefined, known: Value | undefined): Value | undefined =>
  stated === undefined ? known : (stated ?? undefined);
