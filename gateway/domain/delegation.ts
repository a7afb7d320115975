/** Nobody gives away more than they have: what a new or changed object may hold, compared with its maker. Pure. */

import { secondsOf } from './key-policy.ts';
import { toDollars } from './limit-fields.ts';
import type { Limits } from './limits.ts';
import { listWithin } from './model-access.ts';

/** What a key, a team or a user can do. */
export interface Grant {
  /** Every list must let a model group through; an empty list lets all. Access groups are written out. */
  readonly models: readonly (readonly string[])[];
  /** Every set of limits holds at the same time. */
  readonly limits: readonly Limits[];
  /** Undefined = all routes that the role may use. */
  readonly routes: readonly string[] | undefined;
  /** Wall clock, milliseconds; undefined = never. */
  readonly expiresAtMs: number | undefined;
  readonly tags: readonly string[];
  readonly cacheControls: readonly string[] | undefined;
  readonly region: string | undefined;
  /** May have answers pretended. */
  readonly mayMock: boolean;
}

export const everything: Grant = {
  models: [],
  limits: [],
  routes: undefined,
  expiresAtMs: undefined,
  tags: [],
  cacheControls: undefined,
  region: undefined,
  mayMock: true,
};

/** @returns what the child has more of than its maker, each as "field: the most"; empty = nothing. */
export function withinGrantor(child: Grant, maker: Grant, nowMs: number): string[] {
  const faults: string[] = [];
  for (const outer of maker.models) {
    if (outer.length > 0 && !child.models.some((inner) => listWithin(inner, outer))) {
      faults.push(`models: only ${outer.slice(0, 20).join(', ')}`);
    }
  }
  for (const outer of maker.limits) faults.push(...beyond(child.limits, outer, nowMs));
  if (maker.expiresAtMs !== undefined && (child.expiresAtMs === undefined || child.expiresAtMs > maker.expiresAtMs)) {
    faults.push(`duration: not beyond ${new Date(maker.expiresAtMs).toISOString()}`);
  }
  if (maker.routes !== undefined && !routesWithin(child.routes, maker.routes)) {
    faults.push(`allowed_routes: only ${maker.routes.join(', ')}`);
  }
  if (maker.cacheControls !== undefined && !isSubset(child.cacheControls, maker.cacheControls)) {
    faults.push(`allowed_cache_controls: only ${maker.cacheControls.join(', ') || 'none'}`);
  }
  if (maker.region !== undefined && child.region !== maker.region) faults.push(`allowed_model_region: ${maker.region}`);
  if (child.mayMock && !maker.mayMock) faults.push('metadata: allow_client_mock_response only from who has it');
  // Tags steer requests to deployments; one who is bound to some passes them on.
  const lost = maker.tags.filter((tag) => !child.tags.includes(tag));
  if (lost.length > 0) faults.push(`tags: must hold ${lost.join(', ')}`);
  return [...new Set(faults)];
}

/** Some set of the child's must be as tight as the maker's, in each field that the maker has. */
function beyond(child: readonly Limits[], outer: Limits, nowMs: number): string[] {
  const faults: string[] = [];
  const compare = (name: string, bound: number | undefined, value: (limits: Limits) => number | undefined): void => {
    if (bound === undefined) return;
    const tight = child.some((limits) => (value(limits) ?? Number.POSITIVE_INFINITY) <= bound);
    if (!tight) faults.push(`${name}: at most ${bound}`);
  };
  if (outer.maxMicros !== undefined && !child.some((limits) => moneyWithin(limits, outer, nowMs))) {
    const per = outer.duration === undefined ? '' : ` per ${outer.duration}`;
    faults.push(`max_budget: at most ${toDollars(outer.maxMicros)}${per}`);
  }
  compare('rpm_limit', outer.requestsPerMinute, (limits) => limits.requestsPerMinute);
  compare('tpm_limit', outer.tokensPerMinute, (limits) => limits.tokensPerMinute);
  compare('max_parallel_requests', outer.parallelRequests, (limits) => limits.parallelRequests);
  for (const { duration, maxMicros } of outer.windows ?? []) {
    const tight = child.some((limits) =>
      [limits, ...(limits.windows ?? [])].some((own) => moneyWithin(own, { duration, maxMicros }, nowMs)),
    );
    if (!tight) faults.push(`budget_limits: at most ${toDollars(maxMicros)} per ${duration}`);
  }
  for (const [model, bound] of Object.entries(outer.models ?? {})) {
    const own = (limits: Limits): Limits => limits.models?.[model] ?? {};
    if (bound.maxMicros !== undefined && !child.some((limits) => moneyWithin(own(limits), bound, nowMs))) {
      faults.push(`model_max_budget: at most ${toDollars(bound.maxMicros)} for ${model}`);
    }
    compare(`model_rpm_limit of ${model}`, bound.requestsPerMinute, (limits) => own(limits).requestsPerMinute);
    compare(`model_tpm_limit of ${model}`, bound.tokensPerMinute, (limits) => own(limits).tokensPerMinute);
  }
  return faults;
}

type Money = Pick<Limits, 'maxMicros' | 'duration'>;

/** As much money, in a window that is at least as long; for ever is the longest. */
function moneyWithin(inner: Money, outer: Money, nowMs: number): boolean {
  if (inner.maxMicros === undefined || outer.maxMicros === undefined) return outer.maxMicros === undefined;
  if (inner.maxMicros > outer.maxMicros) return false;
  if (inner.duration === undefined) return true;
  return outer.duration !== undefined && secondsOf(inner.duration, nowMs) >= secondsOf(outer.duration, nowMs);
}

/** An empty list is no restriction. */
function routesWithin(inner: readonly string[] | undefined, outer: readonly string[]): boolean {
  if (inner === undefined || inner.length === 0) return false;
  return inner.every((route) =>
    outer.some((allowed) => allowed === route || (allowed.endsWith('*') && route.startsWith(allowed.slice(0, -1)))),
  );
}

const isSubset = (inner: readonly string[] | undefined, outer: readonly string[]): boolean =>
  inner !== undefined && inner.every((one) => outer.includes(one));
