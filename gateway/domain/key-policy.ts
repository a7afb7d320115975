/** What the operator decides about keys that others make: `litellm_settings`. */
import { windowOf } from './budget-window.ts';
import type { UserRole } from './identity.ts';
import { applyLimitFields, type LimitFields, toDollars } from './limit-fields.ts';
import { type Limits, noLimits } from './limits.ts';

export interface KeyPolicy {
  /** For what a key's maker does not state. */
  readonly defaults: LimitFields & {
    readonly duration?: string | undefined;
    readonly models?: readonly string[] | undefined;
    readonly team_id?: string | undefined;
    readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  };
  /** The most that a key may have; a key that states nothing gets it. */
  readonly upperBound: LimitFields & { readonly duration?: string | undefined };
  readonly teamKeys: { readonly makers: readonly ('admin' | 'user')[]; readonly required: readonly string[] };
  readonly personalKeys: { readonly makers: readonly UserRole[]; readonly required: readonly string[] };
  /** Of users that are made without a budget. */
  readonly userBudget: LimitFields;
}

export const openPolicy: KeyPolicy = {
  defaults: {},
  upperBound: {},
  teamKeys: { makers: ['admin'], required: [] },
  personalKeys: { makers: ['proxy_admin', 'internal_user'], required: [] },
  userBudget: {},
};

/** Seconds of a duration such as `30d`, for comparisons: months count as they are now. */
export const secondsOf = (duration: string, nowMs: number): number => {
  const window = windowOf(duration, nowMs);
  if (window === undefined) return 0;
  const [count = '0', unit = ''] = window.length.split(' ');
  return Number(count) * (unit === 'seconds' ? 1 : 30 * 86_400);
};

/** Names of limits where `limits` has more than the operator allows, each with the most. */
export function beyondUpperBound(limits: Limits, policy: KeyPolicy, nowMs: number): string[] {
  const most = applyLimitFields(noLimits, policy.upperBound);
  const faults: string[] = [];
  const check = (
    name: string,
    value: number | undefined,
    bound: number | undefined,
    shown: number | undefined,
  ): void => {
    if (bound !== undefined && value !== undefined && value > bound) faults.push(`${name}: at most ${shown ?? bound}`);
  };
  check('max_budget', limits.maxMicros, most.maxMicros, most.maxMicros && toDollars(most.maxMicros));
  check('tpm_limit', limits.tokensPerMinute, most.tokensPerMinute, undefined);
  check('rpm_limit', limits.requestsPerMinute, most.requestsPerMinute, undefined);
  check('max_parallel_requests', limits.parallelRequests, most.parallelRequests, undefined);
  if (most.duration !== undefined && limits.duration !== undefined && limits.maxMicros !== undefined) {
    // A shorter window gives the same money more often.
    if (secondsOf(limits.duration, nowMs) < secondsOf(most.duration, nowMs)) {
      faults.push(`budget_duration: at least ${most.duration}`);
    }
  }
  return faults;
}
