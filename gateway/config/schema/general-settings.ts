/** `general_settings`. */
import { z } from 'zod';
import { durationForm } from '../../domain/budget-window.ts';
import { boolean, name, number, positiveCount, redisKeys, seconds } from './fields.ts';
import { passThroughEndpoint } from './pass-through-endpoint.ts';

const secondsOfUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, mo: 2_592_000 };
/** LiteLLM's form of a duration, in seconds. */
const retentionPeriod = z
  .string()
  .refine((text) => /^[1-9]\d{0,5}(s|m|h|d|w|mo)$/.test(text), `write ${durationForm}`)
  .transform((text) => Number.parseInt(text, 10) * (secondsOfUnit[text.replace(/^\d+/, '')] ?? 0));

export const generalSettings = z.looseObject({
  ...redisKeys,
  /** Host and port above are a Sentinel's. */
  redis_use_sentinel: boolean.optional(),
  redis_sentinel_master_name: name.optional(),
  redis_sentinel_password: z.string().optional(),
  /** Serve without keys, to whoever reaches the port: only where there is neither a database nor a master key. */
  allow_unauthenticated: boolean.optional(),
  /** As in `litellm_settings`. */
  cache: boolean.optional(),
  pass_through_endpoints: z.array(passThroughEndpoint).optional(),
  /** The administrator's key. */
  master_key: z.string().startsWith('sk-').min(4).optional(),
  database_url: z
    .string()
    .regex(/^postgres(ql)?:\/\//)
    .optional(),
  /** Connections to PostgreSQL for each process. */
  database_connection_pool_limit: positiveCount.optional(),
  max_request_size_mb: number(z.number().positive()).optional(),
  /** LiteLLM's versions disagree about the status of a budget that is used up. */
  budget_exceeded_status: number(z.literal([400, 422, 429])).optional(),
  /** Requests whose budget cannot be checked: refuse (503), share what was left among the processes, or allow. */
  budget_unavailable: z.enum(['refuse', 'share', 'allow']).optional(),
  /**
   * With several regions: what the writer grants of a budget is spent only once every replica that a failover may promote shows
   * it, so that none is granted twice; one that is cut off is waited for for a minute. False: a failover may overrun a budget
   * by what its replica lacked of grants, and nobody waits.
   */
  strict_budgets_across_regions: boolean.optional(),
  /** Requests with a budget for a model without a price. */
  unpriced_models: z.enum(['allow', 'refuse']).optional(),
  /** A request without max_tokens gets the largest that its budgets allow. */
  cap_output_to_budget: boolean.optional(),
  /** Output that is reckoned with when a request states no maximum, tokens. */
  default_output_tokens: positiveCount.optional(),
  /** 1: while Redis is away, each process lets at least one request through, however small the limit is. */
  share_minimum: number(z.literal([0, 1])).optional(),
  /** Processes to divide limits by until the database has said how many live. */
  expected_replicas: positiveCount.optional(),
  /** Test hooks (`mock_response` and its kin) in the requests of every key, not of administrators alone. */
  dangerously_allow_mock_testing_request_params: boolean.optional(),
  /** No rows of single requests; what keys, teams and others have spent is counted all the same. */
  disable_spend_logs: boolean.optional(),
  /** Rows of single requests are dropped after it, in whole days; the sums per day stay. */
  maximum_spend_logs_retention_period: retentionPeriod.optional(),
  /** Disk space for spend that the database does not have, in each process. */
  outbox_max_bytes: positiveCount.optional(),
  /** What the database has stays on disk for so long, for a replica that is promoted without it. */
  outbox_retain_seconds: seconds.optional(),
});
