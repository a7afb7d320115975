/**
 * Budgets and limits as they are kept: one form for keys, teams, members, users, organizations, customers and the budgets
 * that several of them share. Money in millionths of a US dollar.
 */
import { z } from 'zod';
import { type Allowance, accountId, type BudgetAccount, type Level, type RateLimits } from './entitlements.ts';

const micros = z.int().min(0);
const count = z.int().min(0);

const modelLimits = z.object({
  maxMicros: micros.optional(),
  duration: z.string().optional(),
  requestsPerMinute: count.optional(),
  tokensPerMinute: count.optional(),
});

export const limitsSchema = z.object({
  /** In one window; without a duration for ever. */
  maxMicros: micros.optional(),
  /** Beyond it somebody is told; nothing is refused. */
  softMicros: micros.optional(),
  duration: z.string().optional(),
  /** Further windows, such as a small one a day inside a large one a month. */
  windows: z.array(z.object({ duration: z.string(), maxMicros: micros })).optional(),
  requestsPerMinute: count.optional(),
  tokensPerMinute: count.optional(),
  parallelRequests: count.optional(),
  /** By model group. */
  models: z.record(z.string(), modelLimits).optional(),
});
export type Limits = z.output<typeof limitsSchema>;
export type ModelLimits = z.output<typeof modelLimits>;

export const noLimits: Limits = Object.freeze({});

/** What an object states itself wins, field by field, over the budget it refers to. */
export const effectiveLimits = (own: Limits, shared: Limits | undefined): Limits =>
  shared === undefined ? own : { ...shared, ...own };

/** A row of table `account`. */
export interface AccountLimit {
  readonly id: string;
  /** Null = counted, not limited. */
  readonly maxMicros: number | null;
  readonly softMicros?: number;
  readonly duration?: string;
}

/** Every account of an object: its own, one for each further window, one for each model group with a budget. */
export function accountsOf(level: Level, id: string, limits: Limits): AccountLimit[] {
  const { maxMicros, softMicros, duration } = limits;
  return [
    {
      id: accountId(level, id),
      maxMicros: maxMicros ?? null,
      ...(softMicros === undefined ? {} : { softMicros }),
      ...(duration === undefined ? {} : { duration }),
    },
    ...(limits.windows ?? []).map((window) => ({
      id: accountId(level, id, window.duration),
      maxMicros: window.maxMicros,
      duration: window.duration,
    })),
    ...Object.entries(limits.models ?? {}).flatMap(([model, own]) =>
      own.maxMicros === undefined
        ? []
        : [
            {
              id: modelAccount(level, id, model),
              maxMicros: own.maxMicros,
              ...(own.duration === undefined ? {} : { duration: own.duration }),
            },
          ],
    ),
  ];
}

const modelAccount = (level: Level, id: string, model: string): string => accountId(level, id, `model:${model}`);

/** The same as admission reads it. */
export function allowanceOf(level: Level, id: string, limits: Limits): Allowance {
  const whole = accountsOf(level, id, { ...limits, models: undefined });
  return { budgets: whole.flatMap(toBudget), limits: rates(limits) };
}

/** Allowances of single model groups. */
export function modelAllowances(level: Level, id: string, limits: Limits): ReadonlyMap<string, Allowance> {
  return new Map(
    Object.entries(limits.models ?? {}).map(([model, own]) => {
      const budgets =
        own.maxMicros === undefined ? [] : [{ id: modelAccount(level, id, model), maxMicros: own.maxMicros }];
      return [model, { budgets, limits: rates(own) }];
    }),
  );
}

const toBudget = ({ id, maxMicros, softMicros }: AccountLimit): BudgetAccount[] =>
  maxMicros === null ? [] : [{ id, maxMicros, ...(softMicros === undefined ? {} : { softMicros }) }];

const rates = ({ requestsPerMinute, tokensPerMinute, parallelRequests }: Limits): RateLimits => ({
  ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
  ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
  ...(parallelRequests === undefined ? {} : { parallelRequests }),
});
