/** What clients are told of their limits and their spend, under LiteLLM's names. Others' use lags behind. */
import type { LimitSlice } from './limit-slice.ts';
import type { LimitLine, Plan } from './plan.ts';
import { dollars } from './refusals.ts';
import { available } from './slice.ts';

const kinds = ['requests', 'tokens'] as const;

export function limitHeaders(plan: Plan, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of kinds) {
    const lines = plan.limitLines.filter(({ slice }) => slice.kind === kind);
    const tightest = lines.reduce<LimitLine | undefined>(
      (least, line) => (least === undefined || remaining(line.slice) < remaining(least.slice) ? line : least),
      undefined,
    );
    if (tightest !== undefined) {
      headers[`x-ratelimit-limit-${kind}`] = String(tightest.slice.limit);
      headers[`x-ratelimit-remaining-${kind}`] = String(remaining(tightest.slice));
      headers[`x-ratelimit-reset-${kind}`] = `${Math.max(0, Math.ceil((tightest.slice.endsAtMs - nowMs) / 1000))}s`;
    }
    const ofKey = lines.find(({ scope, model }) => scope.level === 'key' && model === undefined);
    if (ofKey !== undefined) {
      headers[`x-ratelimit-api_key-limit-${kind}`] = String(ofKey.slice.limit);
      headers[`x-ratelimit-api_key-remaining-${kind}`] = String(remaining(ofKey.slice));
      headers[`x-litellm-key-${kind === 'requests' ? 'rpm' : 'tpm'}-limit`] = String(ofKey.slice.limit);
    }
  }
  const budget = plan.budgetLines.find(({ scope }) => scope.level === 'key');
  if (budget !== undefined) {
    headers['x-litellm-key-max-budget'] = dollars(budget.slice.maxMicros);
    headers['x-litellm-key-spend'] = dollars(budget.slice.spentMicros);
  }
  return headers;
}

const remaining = (slice: LimitSlice): number => Math.max(0, Math.floor(slice.free + available(slice)));
