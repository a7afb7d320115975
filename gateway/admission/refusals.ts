/** The words of a refusal, after LiteLLM's. */
import type { Level, Scope } from '../domain/entitlements.ts';
import { Refusal } from '../domain/errors.ts';
import type { BudgetLine, LimitLine } from './plan.ts';
import { available } from './slice.ts';

const levelNames: Readonly<Record<Level, string>> = {
  team: 'Team',
  member: 'Team member',
  user: 'User',
  endUser: 'End user',
  global: 'All of this gateway',
  organization: 'Organization',
  key: 'Key',
};

/** LiteLLM's names of the scopes of rate limits. */
const descriptors: Readonly<Record<Level, string>> = {
  team: 'team',
  member: 'team_member',
  user: 'user',
  endUser: 'end_user',
  global: 'global',
  organization: 'organization',
  key: 'api_key',
};

export type BudgetStatus = 400 | 422 | 429;

/** @param micros what the request may cost at most. */
export function budgetExceeded({ scope, slice }: BudgetLine, micros: number, status: BudgetStatus): Refusal {
  const until =
    slice.windowEndsAtMs === 0 ? '' : ` The window ends at ${new Date(slice.windowEndsAtMs).toISOString()}.`;
  return new Refusal({
    status,
    type: 'budget_exceeded',
    message: `Budget has been exceeded! Current cost: ${dollars(slice.spentMicros)}, Max budget: ${dollars(slice.maxMicros)}. ${nameOf(scope)}; this request may cost up to ${dollars(micros)}, and requests that run have their part set aside.${until}`,
  });
}

export function limitExceeded({ scope, slice, model }: LimitLine, nowMs: number, wallMs: number): Refusal {
  const descriptor = model === undefined ? descriptors[scope.level] : `model_per_${descriptors[scope.level]}`;
  const limitType = slice.kind === 'parallel' ? 'max_parallel_requests' : slice.kind;
  const remaining = Math.max(0, Math.floor(slice.free + available(slice)));
  // Slots come free when requests end; nobody knows when.
  const waitMs = slice.kind === 'parallel' ? 1_000 : Math.max(0, slice.endsAtMs - nowMs);
  const resetAt = new Date(wallMs + waitMs).toISOString();
  const value = model === undefined ? scope.name : `${scope.name}:${model}`;
  return new Refusal({
    status: 429,
    type: 'rate_limit_error',
    message: `Rate limit exceeded for ${descriptor}: ${value}. Limit type: ${limitType}. Current limit: ${slice.limit}, Remaining: ${remaining}. Limit resets at: ${resetAt.slice(0, 19).replace('T', ' ')} UTC`,
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
    headers: { rate_limit_type: limitType, reset_at: resetAt },
  });
}

/** Neither yes nor no: a client that is told "exceeded" would give up. */
export const budgetUnavailable = (scope: Scope): Refusal =>
  new Refusal({
    status: 503,
    type: 'service_unavailable',
    message: `The budget of this request could not be checked because the database cannot be reached (${nameOf(scope)}). Try again shortly`,
    retryAfterSeconds: 5,
  });

export const unpriced = (model: string): Refusal =>
  new Refusal({
    status: 400,
    type: 'invalid_request_error',
    message: `The model "${model.slice(0, 100)}" has a deployment without a price, so a budget cannot be kept for it. An administrator can set input_cost_per_token and output_cost_per_token, or general_settings.unpriced_models: allow`,
    param: 'model',
  });

export const tooManyWaiting = (): Refusal =>
  new Refusal({
    status: 503,
    type: 'service_unavailable',
    message: 'Too many requests wait for their budgets and limits to be checked. Try again shortly',
    retryAfterSeconds: 1,
  });

const nameOf = (scope: Scope): string =>
  scope.level === 'global' ? levelNames.global : `${levelNames[scope.level]}: ${scope.name}`;

/** Millionths as dollars, without a trail of zeros. */
export const dollars = (micros: number): string => String(Math.round(Math.max(0, micros)) / 1e6);
