/** Budgets and limits as clients and config files write them: LiteLLM's names, US dollars. Both ways. */
import { z } from 'zod';
import { durationForm, windowOf } from './budget-window.ts';
import type { Limits, ModelLimits } from './limits.ts';

const largestDollars = 1_000_000_000;
const dollars = z.number().min(0).max(largestDollars);
const count = z.int().min(0);
const most = 100;

/** `30s`, `24h`, `30d`, `1mo`. */
export const duration = z.string().refine((text) => windowOf(text, 0) !== undefined, `write ${durationForm}`);

const modelBudget = z.union([
  dollars,
  z.strictObject({ max_budget: dollars, budget_duration: duration.optional() }),
  // LiteLLM's documentation has this form, too.
  z.strictObject({ budget_limit: dollars, time_period: duration.optional() }),
]);

const byModel = <Value extends z.ZodType>(value: Value) =>
  z
    .record(z.string().min(1).max(256), value)
    .refine((map) => Object.keys(map).length <= most, `at most ${most} models`);

/** One schema for whatever can be limited. Null takes a limit away; absent leaves it as it is. */
export const limitFields = {
  max_budget: dollars.nullish().describe('US dollars in one budget_duration, or for ever'),
  soft_budget: dollars.nullish().describe('US dollars beyond which somebody is told; nothing is refused'),
  budget_duration: duration.nullish().describe('24h ends at midnight UTC, 7d on Saturday, 30d with the month'),
  budget_limits: z
    .array(z.strictObject({ budget_duration: duration, max_budget: dollars }))
    .max(10)
    .nullish()
    .describe('further budgets that hold at the same time'),
  max_parallel_requests: count.nullish(),
  tpm_limit: count.nullish().describe('tokens a minute'),
  rpm_limit: count.nullish().describe('requests a minute'),
  model_max_budget: byModel(modelBudget).nullish(),
  model_tpm_limit: byModel(count).nullish(),
  model_rpm_limit: byModel(count).nullish(),
} as const;

const shape = z.object(limitFields);
export type LimitFields = z.output<typeof shape>;

export const toMicros = (value: number): number => Math.round(value * 1_000_000);
export const toDollars = (micros: number | bigint): number => Number(micros) / 1_000_000;

/** `current` with what the fields say. */
export function applyLimitFields(current: Limits, fields: LimitFields): Limits {
  const money = (stated: number | null | undefined, known: number | undefined): number | undefined =>
    stated === undefined ? known : stated === null ? undefined : toMicros(stated);
  const plain = <Value>(stated: Value | null | undefined, known: Value | undefined): Value | undefined =>
    stated === undefined ? known : (stated ?? undefined);
  const windows =
    fields.budget_limits === undefined
      ? current.windows
      : fields.budget_limits?.map((window) => ({
          duration: window.budget_duration,
          maxMicros: toMicros(window.max_budget),
        }));
  return withoutUndefined({
    maxMicros: money(fields.max_budget, current.maxMicros),
    softMicros: money(fields.soft_budget, current.softMicros),
    duration: plain(fields.budget_duration, current.duration),
    windows,
    requestsPerMinute: plain(fields.rpm_limit, current.requestsPerMinute),
    tokensPerMinute: plain(fields.tpm_limit, current.tokensPerMinute),
    parallelRequests: plain(fields.max_parallel_requests, current.parallelRequests),
    models: modelsOf(current.models ?? {}, fields),
  });
}

function modelsOf(current: Readonly<Record<string, ModelLimits>>, fields: LimitFields): Limits['models'] {
  const { model_max_budget: budgets, model_tpm_limit: tokens, model_rpm_limit: requests } = fields;
  const names = new Set([budgets, tokens, requests, current].flatMap((map) => Object.keys(map ?? {})));
  const models: Record<string, ModelLimits> = {};
  for (const name of names) {
    const known = current[name] ?? {};
    const budget = budgets === undefined ? pick(known, 'maxMicros', 'duration') : toBudget(budgets?.[name]);
    const own = withoutUndefined({
      ...budget,
      tokensPerMinute: tokens === undefined ? known.tokensPerMinute : tokens?.[name],
      requestsPerMinute: requests === undefined ? known.requestsPerMinute : requests?.[name],
    });
    if (Object.keys(own).length > 0) models[name] = own;
  }
  return Object.keys(models).length === 0 ? undefined : models;
}

function toBudget(stated: z.output<typeof modelBudget> | undefined): ModelLimits {
  if (stated === undefined) return {};
  if (typeof stated === 'number') return { maxMicros: toMicros(stated) };
  const [max, length] =
    'max_budget' in stated ? [stated.max_budget, stated.budget_duration] : [stated.budget_limit, stated.time_period];
  return { maxMicros: toMicros(max), ...(length === undefined ? {} : { duration: length }) };
}

const pick = (from: ModelLimits, ...names: ('maxMicros' | 'duration')[]): ModelLimits =>
  Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));

function withoutUndefined<T extends object>(value: T): T {
  for (const name of Object.keys(value))
    if (Reflect.get(value, name) === undefined) Reflect.deleteProperty(value, name);
  return value;
}

/** As clients read them. */
export function toLimitFields(limits: Limits): Record<keyof LimitFields, unknown> {
  const models = Object.entries(limits.models ?? {});
  const map = (value: (own: ModelLimits) => unknown): Record<string, unknown> | null => {
    const stated = models.flatMap(([name, own]) => (value(own) === undefined ? [] : [[name, value(own)] as const]));
    return stated.length === 0 ? null : Object.fromEntries(stated);
  };
  return {
    max_budget: limits.maxMicros === undefined ? null : toDollars(limits.maxMicros),
    soft_budget: limits.softMicros === undefined ? null : toDollars(limits.softMicros),
    budget_duration: limits.duration ?? null,
    budget_limits:
      limits.windows?.map((window) => ({
        budget_duration: window.duration,
        max_budget: toDollars(window.maxMicros),
      })) ?? null,
    max_parallel_requests: limits.parallelRequests ?? null,
    tpm_limit: limits.tokensPerMinute ?? null,
    rpm_limit: limits.requestsPerMinute ?? null,
    model_max_budget: map(({ maxMicros, duration: length }) =>
      maxMicros === undefined
        ? undefined
        : length === undefined
          ? toDollars(maxMicros)
          : { max_budget: toDollars(maxMicros), budget_duration: length },
    ),
    model_tpm_limit: map(({ tokensPerMinute }) => tokensPerMinute),
    model_rpm_limit: map(({ requestsPerMinute }) => requestsPerMinute),
  };
}
