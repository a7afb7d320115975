/** What is done after failures: for all, for a group, for a deployment. */
import { z } from 'zod';
import { count, name, names, positiveCount, positiveSeconds, seconds } from './fields.ts';

export const allowedFailsPolicy = z.strictObject({
  BadRequestErrorAllowedFails: count.optional(),
  AuthenticationErrorAllowedFails: count.optional(),
  TimeoutErrorAllowedFails: count.optional(),
  RateLimitErrorAllowedFails: count.optional(),
  ContentPolicyViolationErrorAllowedFails: count.optional(),
  InternalServerErrorAllowedFails: count.optional(),
});

/** `- gpt-4o: [a, b]`, `- gpt-4o: a`, and `- {model: gpt-4o, fallback_models: [a]}`. */
const fallbackEntry = z.union([
  z
    .strictObject({ model: name, fallback_models: names })
    .transform((entry) => ({ [entry.model]: entry.fallback_models })),
  z.record(z.string(), names),
]);
const fallbackMap = z
  .union([z.array(fallbackEntry), z.record(z.string(), names).transform((map) => [map])])
  .transform((entries) => new Map(entries.flatMap((entry) => Object.entries(entry))));

export const retryPolicyMap = z.strictObject({
  BadRequestErrorRetries: count.optional(),
  AuthenticationErrorRetries: count.optional(),
  TimeoutErrorRetries: count.optional(),
  RateLimitErrorRetries: count.optional(),
  ContentPolicyViolationErrorRetries: count.optional(),
  InternalServerErrorRetries: count.optional(),
  ServiceUnavailableErrorRetries: count.optional(),
  NotFoundErrorRetries: count.optional(),
  DefaultRetries: count.optional(),
});
/** The list form names a wait for each status. */
export const retryPolicyList = z.array(z.strictObject({ status_code: positiveCount, retry_after: seconds }));

/** Keys that may stand in `router_settings` and, with less weight, in `litellm_settings`. */
export const shared = {
  num_retries: count.optional(),
  fallbacks: fallbackMap.optional(),
  context_window_fallbacks: fallbackMap.optional(),
  content_policy_fallbacks: fallbackMap.optional(),
  default_fallbacks: names.optional(),
  allowed_fails: count.optional(),
  cooldown_time: seconds.optional(),
  stream_idle_timeout: positiveSeconds.optional(),
};
