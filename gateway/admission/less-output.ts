/** What a request without a maximum may still have, for those who would rather have less than nothing. Pure. */
import type { Estimate } from '../domain/admission.ts';
import type { Plan } from './plan.ts';
import { available } from './slice.ts';

/** The largest output that the budgets leave room for. @returns undefined when that is none, or is not less. */
export function withLessOutput(estimate: Estimate, plan: Plan): Estimate | undefined {
  const { openOutput, micros } = estimate;
  if (openOutput === undefined || micros === undefined || openOutput.microsPerToken <= 0) return undefined;
  const left = Math.min(...plan.budgets.map((slice) => slice.free + available(slice)));
  const promptMicros = micros - openOutput.tokens * openOutput.microsPerToken;
  const tokens = Math.floor((left - promptMicros) / openOutput.microsPerToken);
  if (tokens < 1 || tokens >= openOutput.tokens) return undefined;
  return {
    micros: Math.ceil(promptMicros + tokens * openOutput.microsPerToken),
    tokens: estimate.tokens - openOutput.tokens + tokens,
    openOutput: { ...openOutput, tokens },
  };
}
