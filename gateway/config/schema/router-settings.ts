/** `router_settings`. */
import { z } from 'zod';
import { boolean, count, name, positiveCount, positiveSeconds, redisKeys, seconds } from './fields.ts';
import { allowedFailsPolicy, retryPolicyList, retryPolicyMap, shared } from './recovery-keys.ts';

export const routerSettings = z.looseObject({
  ...shared,
  ...redisKeys,
  routing_strategy: z
    .enum([
      'simple-shuffle',
      'least-busy',
      'usage-based-routing',
      'usage-based-routing-v2',
      'latency-based-routing',
      'cost-based-routing',
    ])
    .optional(),
  routing_strategy_args: z
    .looseObject({ ttl: positiveSeconds.optional(), lowest_latency_buffer: seconds.optional() })
    .optional(),
  default_max_parallel_requests: positiveCount.optional(),
  /** LiteLLM's documentation has both spellings. */
  enable_pre_call_checks: boolean.optional(),
  enable_pre_call_check: boolean.optional(),
  /** Of these only `enforce_model_rate_limits` is acted on. */
  optional_pre_call_checks: z.array(name).optional(),
  enable_tag_filtering: boolean.optional(),
  tag_filtering_match_any: boolean.optional(),
  /** Least wait between two attempts at one deployment, seconds. */
  retry_after: seconds.optional(),
  timeout: positiveSeconds.optional(),
  stream_timeout: positiveSeconds.optional(),
  disable_cooldowns: boolean.optional(),
  allowed_fails_policy: allowedFailsPolicy.optional(),
  retry_policy: z.union([retryPolicyMap, retryPolicyList]).optional(),
  model_group_retry_policy: z.record(z.string(), retryPolicyMap).optional(),
  max_fallbacks: count.optional(),
  model_group_alias: z
    .record(z.string(), z.union([name, z.looseObject({ model: name, hidden: boolean.optional() })]))
    .optional(),
  /** A deployment whose key is missing is left out with a warning (true, as in LiteLLM's proxy) or refuses the start. */
  ignore_invalid_deployments: boolean.optional(),
});
