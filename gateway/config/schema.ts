/** LiteLLM's `config.yaml`, as far as this gateway acts on it. One schema; the types are derived from it. */
import { z } from 'zod';
import { durationForm, windowOf } from '../domain/budget-window.ts';
import { userRoles } from '../domain/identity.ts';
import { duration, limitFields } from '../domain/limit-fields.ts';
import { passThroughMethods } from '../domain/pass-through.ts';
import { parseRedisNodes } from '../domain/redis-settings.ts';

/** Numbers may arrive as text, since `os.environ/NAME` always resolves to text. */
const number = <Rule extends z.ZodType<number>>(rule: Rule) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value.trim()) ? Number(value) : value),
    rule,
  );
const boolean = z.preprocess(
  (value) => (value === 'true' || value === 'True' ? true : value === 'false' || value === 'False' ? false : value),
  z.boolean(),
);

const count = number(z.number().int().min(0));
const positiveCount = number(z.number().int().min(1));
const seconds = number(z.number().min(0));
/** A day: a timer beyond 24.8 days would overflow and fire at once. */
const longestSeconds = 86_400;
const positiveSeconds = number(z.number().positive().max(longestSeconds));
const price = number(z.number().min(0));
const name = z.string().trim().min(1);

/** LiteLLM's names; they may stand in `litellm_params` and in `model_info`. US dollars. */
const prices = {
  input_cost_per_token: price.optional(),
  output_cost_per_token: price.optional(),
  cache_read_input_token_cost: price.optional(),
  cache_creation_input_token_cost: price.optional(),
  cache_creation_input_token_cost_above_1hr: price.optional(),
  input_cost_per_audio_token: price.optional(),
  output_cost_per_audio_token: price.optional(),
  output_cost_per_reasoning_token: price.optional(),
  input_cost_per_request: price.optional(),
  input_cost_per_image: price.optional(),
  output_cost_per_image: price.optional(),
  input_cost_per_character: price.optional(),
  input_cost_per_second: price.optional(),
  input_cost_per_query: price.optional(),
  input_cost_per_token_above_128k_tokens: price.optional(),
  output_cost_per_token_above_128k_tokens: price.optional(),
  input_cost_per_token_above_200k_tokens: price.optional(),
  output_cost_per_token_above_200k_tokens: price.optional(),
  cache_read_input_token_cost_above_200k_tokens: price.optional(),
  cache_creation_input_token_cost_above_200k_tokens: price.optional(),
  input_cost_per_token_above_272k_tokens: price.optional(),
  output_cost_per_token_above_272k_tokens: price.optional(),
  cache_read_input_token_cost_above_272k_tokens: price.optional(),
};

const litellmParams = z.looseObject({
  /** `provider/name`; without a provider prefix it is OpenAI's. */
  model: name,
  api_base: name.optional(),
  /** OpenAI's spelling of `api_base`. */
  base_url: name.optional(),
  api_key: name.optional(),
  organization: name.optional(),
  aws_region_name: name.optional(),
  aws_access_key_id: name.optional(),
  aws_secret_access_key: name.optional(),
  aws_session_token: name.optional(),
  /** ARN of the role that calls are made in, and how to get into it. */
  aws_role_name: name.optional(),
  aws_session_name: name.optional(),
  aws_external_id: name.optional(),
  aws_web_identity_token: name.optional(),
  aws_sts_endpoint: name.optional(),
  /** Refused, with what to write instead. */
  aws_profile_name: name.optional(),
  aws_bedrock_runtime_endpoint: name.optional(),
  /** Azure's `api-version`. */
  api_version: name.optional(),
  custom_llm_provider: name.optional(),
  /** The server has `/v1/responses` (or has not): its clients' requests pass through untranslated. */
  use_responses_api: boolean.optional(),
  /** The address and the key of this entry also serve `/PROVIDER/...`. */
  use_in_pass_through: boolean.optional(),
  /** Leave out what this provider cannot express, instead of refusing the request. */
  drop_params: boolean.optional(),
  /** Left out of every request, whatever the provider can: names, and paths such as `tools[*].function.strict`. */
  additional_drop_params: z.array(name).optional(),
  /** Weights of simple-shuffle; the first of weight, rpm, tpm that any deployment of the group has is used. */
  weight: number(z.number().min(0)).optional(),
  rpm: count.optional(),
  tpm: count.optional(),
  /** Seconds for a whole answer. */
  timeout: positiveSeconds.optional(),
  /** Seconds to the first chunk of a stream. */
  stream_timeout: positiveSeconds.optional(),
  /** Longest silence inside a stream, seconds. Our own key. */
  stream_idle_timeout: positiveSeconds.optional(),
  /** Where it is; shown in a header. */
  region_name: name.optional(),
  /** Answers instead of the provider: a text, an answer, or the name of an error. */
  mock_response: z.unknown().optional(),
  /** Retries after a failure of this deployment. */
  max_retries: count.optional(),
  num_retries: count.optional(),
  /** Seconds out of rotation; 0 = never. */
  cooldown_time: seconds.optional(),
  /** Deployments with the lowest order are tried first. */
  order: count.optional(),
  tags: z.array(name).optional(),
  /** Attempts at once, in one process. */
  max_parallel_requests: positiveCount.optional(),
  ...prices,
  /** The model behind a name that says nothing, such as an Azure deployment's: where prices and limits are looked up. */
  base_model: name.optional(),
});

const allowedFailsPolicy = z.strictObject({
  BadRequestErrorAllowedFails: count.optional(),
  AuthenticationErrorAllowedFails: count.optional(),
  TimeoutErrorAllowedFails: count.optional(),
  RateLimitErrorAllowedFails: count.optional(),
  ContentPolicyViolationErrorAllowedFails: count.optional(),
  InternalServerErrorAllowedFails: count.optional(),
});

export const modelEntry = z.looseObject({
  /** The model group: what clients call. */
  model_name: name,
  litellm_params: litellmParams,
  model_info: z
    .looseObject({
      id: name.optional(),
      cooldown_time: seconds.optional(),
      allowed_fails: count.optional(),
      allowed_fails_policy: allowedFailsPolicy.optional(),
      rpm: count.optional(),
      tpm: count.optional(),
      max_input_tokens: positiveCount.optional(),
      /** Names that stand for this model group in the `models` of keys and teams. */
      access_groups: z.array(name).optional(),
      max_output_tokens: positiveCount.optional(),
      /** An older name of `max_output_tokens`. */
      max_tokens: positiveCount.optional(),
      base_model: name.optional(),
      ...prices,
    })
    .optional(),
  rpm: count.optional(),
  tpm: count.optional(),
});

const names = z.union([name.transform((one) => [one]), z.array(name)]);
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

const retryPolicyMap = z.strictObject({
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
const retryPolicyList = z.array(z.strictObject({ status_code: positiveCount, retry_after: seconds }));

/** Keys that may stand in `router_settings` and, with less weight, in `litellm_settings`. */
const shared = {
  num_retries: count.optional(),
  fallbacks: fallbackMap.optional(),
  context_window_fallbacks: fallbackMap.optional(),
  content_policy_fallbacks: fallbackMap.optional(),
  default_fallbacks: names.optional(),
  allowed_fails: count.optional(),
  cooldown_time: seconds.optional(),
  stream_idle_timeout: positiveSeconds.optional(),
};

/** Where Redis is, in `router_settings` and `general_settings`. */
const redisKeys = {
  redis_url: name.optional(),
  redis_host: name.optional(),
  redis_port: positiveCount.optional(),
  redis_username: name.optional(),
  redis_password: z.string().optional(),
  redis_db: count.optional(),
  redis_ssl: boolean.optional(),
};

/** `[{host, port}]` or `[[host, port]]`. */
const redisNodes = z.unknown().transform((value, context) => {
  const nodes = parseRedisNodes(value);
  if (nodes === undefined) context.addIssue('must be a list such as [{host: a, port: 6379}] or [[a, 6379]]');
  return nodes ?? z.NEVER;
});

/** Kinds of cache that LiteLLM has; those that this gateway has not are reported, and the local one stands in. */
const cacheTypes = [
  'local',
  'redis',
  'redis-semantic',
  'qdrant-semantic',
  'valkey-semantic',
  's3',
  'gcs',
  'disk',
  'azure-blob',
] as const;

export const cacheParams = z.looseObject({
  type: z.enum(cacheTypes).optional(),
  url: name.optional(),
  host: name.optional(),
  port: positiveCount.optional(),
  username: name.optional(),
  password: z.string().optional(),
  db: count.optional(),
  redis_startup_nodes: redisNodes.optional(),
  sentinel_nodes: redisNodes.optional(),
  service_name: name.optional(),
  sentinel_username: name.optional(),
  sentinel_password: z.string().optional(),
  ssl: boolean.optional(),
  ssl_ca_certs: name.optional(),
  ssl_certfile: name.optional(),
  ssl_keyfile: name.optional(),
  ssl_cert_reqs: name.nullish(),
  ssl_check_hostname: boolean.optional(),
  /** LiteLLM's size of a connection pool; one connection carries all commands here. */
  max_connections: positiveCount.optional(),
  /** Seconds that an answer is kept. */
  ttl: positiveSeconds.optional(),
  namespace: z.string().max(100).optional(),
  /** Python's names of calls: `acompletion`, `aembedding`, ... `[]` = no answer is cached, Redis is for the rest. */
  supported_call_types: z.array(name).optional(),
  /** `default_off`: only requests that say `cache: {use-cache: true}`. */
  mode: z.enum(['default_on', 'default_off']).optional(),
  /** Who shares answers: a key, a team (a key without one is on its own), or everybody. */
  scope: z.enum(['key', 'team', 'global']).optional(),
  /** Answers beyond it are not kept. */
  max_answer_size_kb: positiveCount.optional(),
  /** Memory for answers in each process. */
  max_memory_mb: positiveCount.optional(),
  /** Whether identical requests that run at once are asked once. */
  coalesce: boolean.optional(),
});

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

const generation = { required_params: z.array(name).optional() };

const litellmSettings = z.looseObject({
  ...shared,
  /** What a new key gets when its maker states nothing. */
  default_key_generate_params: z
    .strictObject({
      ...limitFields,
      duration: duration.optional(),
      models: z.array(name).optional(),
      team_id: name.optional(),
      metadata: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  /** The most that a key may have. */
  upperbound_key_generate_params: z
    .strictObject({
      max_budget: limitFields.max_budget,
      budget_duration: limitFields.budget_duration,
      max_parallel_requests: limitFields.max_parallel_requests,
      tpm_limit: limitFields.tpm_limit,
      rpm_limit: limitFields.rpm_limit,
      duration: duration.optional(),
    })
    .optional(),
  /** Who may make keys, and what they must state. */
  key_generation_settings: z
    .strictObject({
      team_key_generation: z
        .strictObject({ ...generation, allowed_team_member_roles: z.array(z.enum(['admin', 'user'])).optional() })
        .optional(),
      personal_key_generation: z
        .strictObject({ ...generation, allowed_user_roles: z.array(z.enum(userRoles)).optional() })
        .optional(),
    })
    .optional(),
  /** US dollars of users that are made without a budget. */
  max_internal_user_budget: price.optional(),
  internal_user_budget_duration: duration.optional(),
  /** Seconds for a whole answer when nothing nearer says otherwise. */
  request_timeout: positiveSeconds.optional(),
  /** Leave out what a provider cannot express, instead of refusing the request. */
  drop_params: boolean.optional(),
  /** File with prices and limits of models in the form of LiteLLM's `model_prices_and_context_window.json`. */
  model_cost_map: name.optional(),
  /** Requests go only to deployments of this region, for example `eu`. */
  allowed_model_region: name.optional(),
  /** US dollars for everything that this gateway spends, in each `budget_duration`. */
  max_budget: number(z.number().positive()).optional(),
  /** For example `30d`; without it the budget is for ever. */
  budget_duration: z
    .string()
    .refine((text) => windowOf(text, 0) !== undefined, `write ${durationForm}`)
    .optional(),
  /** Whether answers are cached. */
  cache: boolean.optional(),
  cache_params: cacheParams.optional(),
});

const headerValue = z.union([z.string(), z.number(), z.boolean()]).transform(String);

const passThroughEndpoint = z.looseObject({
  /** Of the gateway, for example `/bria`. */
  path: name,
  /** Address that requests are sent on to. */
  target: name,
  /** For the target; in a value, `os.environ/NAME` may stand anywhere. */
  headers: z.record(z.string(), headerValue).optional(),
  /** Whether the client's own headers go to the target, but for its key of this gateway. */
  forward_headers: boolean.optional(),
  /** Whether a key of this gateway is needed; true unless stated. */
  auth: boolean.optional(),
  /** Whether everything below the path belongs to it. */
  include_subpath: boolean.optional(),
  methods: z
    .array(z.string().toUpperCase().pipe(z.enum(passThroughMethods)))
    .min(1)
    .optional(),
  default_query_params: z.record(z.string(), headerValue).optional(),
  /** US dollars; unknown unless stated. */
  cost_per_request: price.optional(),
  /** Seconds to the head of an answer, and between two pieces of it. */
  timeout: positiveSeconds.optional(),
});

const secondsOfUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, mo: 2_592_000 };
/** LiteLLM's form of a duration, in seconds. */
const retentionPeriod = z
  .string()
  .refine((text) => /^[1-9]\d{0,5}(s|m|h|d|w|mo)$/.test(text), `write ${durationForm}`)
  .transform((text) => Number.parseInt(text, 10) * (secondsOfUnit[text.replace(/^\d+/, '')] ?? 0));

const generalSettings = z.looseObject({
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

export const configSchema = z.looseObject({
  model_list: z.array(modelEntry).min(1),
  litellm_settings: litellmSettings.optional(),
  router_settings: routerSettings.optional(),
  general_settings: generalSettings.optional(),
  /** Where many documents put it; `litellm_settings.cache_params` wins. */
  cache_params: cacheParams.optional(),
  environment_variables: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

export type LiteLLMConfig = z.output<typeof configSchema>;
export type ModelEntry = z.output<typeof modelEntry>;
export type PassThroughEntry = z.output<typeof passThroughEndpoint>;
export type RetryPolicyMap = z.output<typeof retryPolicyMap>;

/** Blocks and the keys this gateway acts on; what stands beside them is reported, since a typo must not be silent. */
export const knownKeys: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(configSchema.shape),
  'model_list[]': Object.keys(modelEntry.shape),
  'model_list[].litellm_params': Object.keys(litellmParams.shape),
  litellm_settings: Object.keys(litellmSettings.shape),
  router_settings: Object.keys(routerSettings.shape),
  general_settings: Object.keys(generalSettings.shape),
  'general_settings.pass_through_endpoints[]': Object.keys(passThroughEndpoint.shape),
  cache_params: Object.keys(cacheParams.shape),
  'litellm_settings.cache_params': Object.keys(cacheParams.shape),
};
