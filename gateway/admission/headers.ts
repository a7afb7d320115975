/** What clients are told of their limits and their spend, under LiteLLM's names. Others' use lags behind. */
import type { LimitSlice } from './limit-slice.ts';
import type { Plan } from './plan.ts';
import { dollars } from './refusals.ts';
import { available } from './slice.ts';

const namesOf = (kind: 'requests' | 'tokens') => ({
  limit: `x-ratelimit-limit-${kind}`,
  remaining: `x-ratelimit-remaining-${kind}`,
  reset: `x-ratelimit-reset-${kind}`,
  keyLimit: `x-ratelimit-api_key-limit-${kind}`,
  keyRemaining: `x-ratelimit-api_key-remaining-${kind}`,
  litellmKeyLimit: `x-litellm-key-${kind === 'requests' ? 'rpm' : 'tpm'}-limit`,
});
const requestNames = namesOf('requests');
const tokenNames = namesOf('tokens');

/** Names and values in turn. */
export function limitHeaders(plan: Plan, nowMs: number): readonly string[] {
  const headers: string[] = [];
  addLimits(headers, requestNames, plan.requests, plan.ofKey.requests, nowMs);
  addLimits(headers, tokenNames, plan.tokens, plan.ofKey.tokens, nowMs);
  const { budget } = plan.ofKey;
  if (budget !== undefined) {
    headers.push(
      'x-litellm-key-max-budget',
      dollars(budget.maxMicros),
      'x-litellm-key-spend',
      dollars(budget.spentMicros),
    );
  }
  return headers;
}

function addLimits(
  headers: string[],
  names: ReturnType<typeof namesOf>,
  slices: readonly LimitSlice[],
  ofKey: LimitSlice | undefined,
  nowMs: number,
): void {
  const tightest = tightestOf(slices);
  if (tightest === undefined) return;
  const secondsLeft = Math.max(0, Math.ceil((tightest.endsAtMs - nowMs) / 1000));
  headers.push(names.limit, String(tightest.limit), names.remaining, String(remaining(tightest)));
  headers.push(names.reset, `${secondsLeft}s`);
  if (ofKey === undefined) return;
  const limit = String(ofKey.limit);
  headers.push(names.keyLimit, limit, names.keyRemaining, String(remaining(ofKey)), names.litellmKeyLimit, limit);
}

/** Of several that are equal the first. */
function tightestOf(slices: readonly LimitSlice[]): LimitSlice | undefined {
  let tightest: LimitSlice | undefined;
  for (const slice of slices) if (tightest === undefined || remaining(slice) < remaining(tightest)) tightest = slice;
  return tightest;
}

const remaining = (slice: LimitSlice): number => Math.max(0, Math.floor(slice.free + available(slice)));
