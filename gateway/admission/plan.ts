/** What binds a caller at one model group, worked out once: a request only walks these lists. */
import { type Allowance, type BudgetAccount, levels, type Scope } from '../domain/entitlements.ts';
import type { BudgetBook, BudgetSlice } from './budget-book.ts';
import type { LimitBook } from './limit-book.ts';
import type { LimitKind, LimitSlice } from './limit-slice.ts';

export interface BudgetLine {
  readonly scope: Scope;
  readonly slice: BudgetSlice;
}

export interface LimitLine {
  readonly scope: Scope;
  readonly slice: LimitSlice;
  /** Set when the limit holds for this model group alone. */
  readonly model: string | undefined;
}

export interface Plan {
  /** Every account that a request's cost is counted for. */
  readonly accounts: readonly string[];
  /** Both in the order of refusals. */
  readonly budgetLines: readonly BudgetLine[];
  readonly limitLines: readonly LimitLine[];
  /** The same by what a request takes of them. */
  readonly budgets: readonly BudgetSlice[];
  readonly requests: readonly LimitSlice[];
  readonly tokens: readonly LimitSlice[];
  readonly slots: readonly LimitSlice[];
  /** The key's own, which its clients are told of. */
  readonly ofKey: {
    readonly budget: BudgetSlice | undefined;
    readonly requests: LimitSlice | undefined;
    readonly tokens: LimitSlice | undefined;
  };
  /** Of the limit book; with another one the plan is worked out again. */
  readonly generation: number;
}

export interface PlanOptions {
  readonly budgets: BudgetBook;
  readonly limits: LimitBook;
}

/** @param rateLimited administrators are not. */
export function makePlan(
  scopes: readonly Scope[],
  group: string,
  rateLimited: boolean,
  { budgets, limits }: PlanOptions,
): Plan {
  const accounts = new Set<string>();
  const budgetLines: BudgetLine[] = [];
  const limitLines: LimitLine[] = [];
  const addBudgets = (scope: Scope, list: readonly BudgetAccount[]): void => {
    for (const account of list) {
      // The same account twice would be reserved twice.
      if (budgetLines.some(({ slice }) => slice.id === account.id)) continue;
      accounts.add(account.id);
      budgetLines.push({ scope, slice: budgets.slice(account) });
    }
  };
  const addLimits = (scope: Scope, { limits: stated }: Allowance, model: string | undefined): void => {
    const add = (kind: LimitKind, limit: number | undefined): void => {
      if (limit === undefined || !rateLimited) return;
      limitLines.push({ scope, model, slice: limits.slice(limitId(scope.account, model, kind), kind, limit) });
    };
    add('requests', stated.requestsPerMinute);
    add('tokens', stated.tokensPerMinute);
    add('parallel', stated.parallelRequests);
  };
  for (const scope of inOrder(scopes)) {
    const own = scope.models.get(group);
    accounts.add(scope.account);
    addBudgets(scope, scope.budgets);
    if (own !== undefined) addBudgets(scope, own.budgets);
    addLimits(scope, scope, undefined);
    if (own !== undefined) addLimits(scope, own, group);
  }
  const ofKind = (kind: LimitKind): LimitSlice[] =>
    limitLines.filter(({ slice }) => slice.kind === kind).map(({ slice }) => slice);
  return {
    accounts: [...accounts],
    budgetLines,
    limitLines,
    budgets: budgetLines.map(({ slice }) => slice),
    requests: ofKind('requests'),
    tokens: ofKind('tokens'),
    slots: ofKind('parallel'),
    ofKey: {
      budget: budgetLines.find(({ scope }) => scope.level === 'key')?.slice,
      requests: limitOfKey(limitLines, 'requests'),
      tokens: limitOfKey(limitLines, 'tokens'),
    },
    generation: limits.generation,
  };
}

const limitOfKey = (lines: readonly LimitLine[], kind: LimitKind): LimitSlice | undefined =>
  lines.find(({ scope, model, slice }) => scope.level === 'key' && model === undefined && slice.kind === kind)?.slice;

/** Refusals name the first level in LiteLLM's order. */
const inOrder = (scopes: readonly Scope[]): Scope[] =>
  scopes.toSorted((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));

/** The account in braces: all limits of an account live on one node of a Redis cluster. */
const limitId = (account: string, model: string | undefined, kind: LimitKind): string =>
  `{${account}}${model === undefined ? '' : `:${model}`}:${kind}`;

/** Plans by caller, for as long as the caller's scopes are in use. */
export class PlanCache {
  readonly #options: PlanOptions;
  readonly #plans = new WeakMap<readonly Scope[], Map<string, Plan>>();
  /** With a customer of the caller besides. */
  readonly #combined = new WeakMap<readonly Scope[], WeakMap<Scope, readonly Scope[]>>();

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  plan(scopes: readonly Scope[], group: string, rateLimited: boolean): Plan {
    let plans = this.#plans.get(scopes);
    if (plans === undefined) {
      plans = new Map();
      this.#plans.set(scopes, plans);
    }
    // Groups without an allowance of their own share one plan.
    const own = hasOwn(scopes, group) ? group : '';
    const key = rateLimited ? own : `admin:${own}`;
    let plan = plans.get(key);
    if (plan === undefined || plan.generation !== this.#options.limits.generation) {
      plan = makePlan(scopes, group, rateLimited, this.#options);
      plans.set(key, plan);
    }
    return plan;
  }

  /** One list for both, the same each time. */
  with(scopes: readonly Scope[], endUser: Scope): readonly Scope[] {
    let byEndUser = this.#combined.get(scopes);
    if (byEndUser === undefined) {
      byEndUser = new WeakMap();
      this.#combined.set(scopes, byEndUser);
    }
    let both = byEndUser.get(endUser);
    if (both === undefined) {
      both = [...scopes, endUser];
      byEndUser.set(endUser, both);
    }
    return both;
  }
}

function hasOwn(scopes: readonly Scope[], group: string): boolean {
  for (let index = 0; index < scopes.length; index++) if (scopes[index]?.models.has(group) === true) return true;
  return false;
}
