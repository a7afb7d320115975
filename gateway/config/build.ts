/** From the checked file to the gateway's own words: deployments, recovery, cooldown. */
import type { Deployment } from '../domain/deployment.ts';
import type { KeyPolicy } from '../domain/key-policy.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import { buildCache } from './build-cache.ts';
import { buildDeployment, type DeploymentOptions } from './build-deployment.ts';
import { buildPassThrough } from './build-pass-through.ts';
import { buildRecovery, byKind } from './build-recovery.ts';
import { buildRedis } from './build-redis.ts';
import type { ConfigPath } from './document.ts';
import type { AdmissionConfig, GatewayConfig } from './gateway-config.ts';
import type { LiteLLMConfig, ModelEntry } from './schema.ts';

/** What the file itself does not say. */
export type BuildOptions = Pick<DeploymentOptions, 'environment' | 'demoUpstreams' | 'missingVariables'>;

interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
}

interface Built {
  readonly config: GatewayConfig;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** LiteLLM's own default is 6000 s; a request that long is a leak, so ten minutes, the longest stream of the contract. */
const defaultRequestTimeoutSeconds = 600;
/** Models that think say so within this time; one that says nothing has stalled. */
const defaultStreamIdleSeconds = 30;
const defaultCooldownSeconds = 5;
const defaultLatencyTtlSeconds = 3_600;
const defaultMaxRequestMegabytes = 32;
/** Longer answers than this are rare; what one costs beyond it is booked all the same. */
const defaultOutputTokens = 4_096;
/** Half of the volume that the manifests give to a pod. About a million requests. */
const defaultOutboxMaxBytes = 1024 ** 3;
/** Twice the 15 minutes that the tier `high` may lose. */
const defaultOutboxRetainSeconds = 1_800;
const secondsPerDay = 86_400;

/** An entry of `model_list` and its place in the file. */
export type ListedEntry = readonly [index: number, entry: ModelEntry];

interface Deployments {
  readonly groups: ReadonlyMap<string, readonly Deployment[]>;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** The deployments of those entries that could be read; all of them, unless the file has other faults. */
export function buildDeployments(
  entries: readonly ListedEntry[],
  router: NonNullable<LiteLLMConfig['router_settings']>,
  requestTimeoutSeconds: number,
  options: BuildOptions,
  streamIdleSeconds = router.stream_idle_timeout ?? defaultStreamIdleSeconds,
): Deployments {
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const tolerant = router.ignore_invalid_deployments ?? true;
  const groups = new Map<string, Deployment[]>();
  const ids = new Map<string, number>();
  for (const [index, entry] of entries) {
    const result = buildDeployment(entry, index, {
      ...options,
      requestTimeoutSeconds,
      streamTimeoutSeconds: router.stream_timeout,
      streamIdleSeconds,
      maxParallelRequests: router.default_max_parallel_requests,
    });
    if ('invalid' in result) {
      const finding = { path: ['model_list', index, ...result.path], message: result.invalid };
      if (tolerant && result.leaveOut)
        warnings.push({ ...finding, message: `${finding.message}; this deployment is left out` });
      else faults.push(finding);
      continue;
    }
    const twin = ids.get(result.id);
    if (twin !== undefined) {
      faults.push({
        path: ['model_list', index],
        message: `is the same deployment as model_list[${twin}] (id ${result.id}); remove one, or give them different model_info.id`,
      });
      continue;
    }
    ids.set(result.id, index);
    groups.set(result.modelGroup, [...(groups.get(result.modelGroup) ?? []), result]);
  }
  return { groups, faults, warnings };
}

export function buildConfig(file: LiteLLMConfig, options: BuildOptions): Built {
  const router = file.router_settings ?? {};
  const general = file.general_settings ?? {};
  const litellm = file.litellm_settings ?? {};
  const requestTimeoutSeconds = router.timeout ?? litellm.request_timeout ?? defaultRequestTimeoutSeconds;
  const built = buildDeployments(
    [...file.model_list.entries()],
    router,
    requestTimeoutSeconds,
    options,
    router.stream_idle_timeout ?? litellm.stream_idle_timeout,
  );
  const { groups } = built;
  const faults = [...built.faults];
  if (groups.size === 0 && faults.length === 0) {
    // Now each reason counts: together they leave nothing to call.
    faults.push(
      { path: ['model_list'], message: 'no deployment is left that could be called, because:' },
      ...built.warnings,
    );
  }
  const redis = buildRedis(file, options.environment);
  const cache = buildCache(file, redis.redis);
  faults.push(...redis.faults, ...(redis.faults.length === 0 ? cache.faults : []));
  const recovery = buildRecovery(file);
  const passThrough = buildPassThrough(general.pass_through_endpoints ?? [], [...groups.values()].flat(), {
    environment: options.environment,
    timeoutSeconds: requestTimeoutSeconds,
  });
  faults.push(...passThrough.faults);
  const warnings = [
    ...built.warnings,
    ...cache.warnings,
    ...unknownFallbacks(file, groups, recovery),
    ...unknownChecks(router),
    ...passThrough.warnings,
  ];
  return {
    faults,
    warnings,
    config: {
      groups,
      aliases: new Map(
        Object.entries(router.model_group_alias ?? {}).map(([alias, target]) => [
          alias,
          typeof target === 'string'
            ? { group: target, hidden: false }
            : { group: target.model, hidden: target.hidden ?? false },
        ]),
      ),
      passThrough: passThrough.endpoints,
      recovery,
      routing: {
        strategy: router.routing_strategy ?? 'simple-shuffle',
        latencyBuffer: router.routing_strategy_args?.lowest_latency_buffer ?? 0,
        latencyTtlSeconds: router.routing_strategy_args?.ttl ?? defaultLatencyTtlSeconds,
        tagFiltering: router.enable_tag_filtering ?? false,
        matchAnyTag: router.tag_filtering_match_any ?? true,
        preCallChecks: router.enable_pre_call_checks ?? router.enable_pre_call_check ?? false,
        enforceRateLimits: router.optional_pre_call_checks?.includes('enforce_model_rate_limits') ?? false,
        ...(litellm.allowed_model_region === undefined ? {} : { allowedRegion: litellm.allowed_model_region }),
      },
      cooldown: {
        enabled: router.disable_cooldowns !== true,
        cooldownSeconds: router.cooldown_time ?? litellm.cooldown_time ?? defaultCooldownSeconds,
        allowedFails: router.allowed_fails ?? litellm.allowed_fails,
        allowedFailsByKind: byKind(router.allowed_fails_policy ?? {}, 'AllowedFails'),
      },
      modelCostMap: litellm.model_cost_map,
      catalog: undefined,
      dropParams: litellm.drop_params ?? false,
      clientsMayMock: general.dangerously_allow_mock_testing_request_params ?? false,
      requestTimeoutSeconds,
      masterKey: general.master_key,
      allowUnauthenticated: general.allow_unauthenticated ?? false,
      databaseUrl: general.database_url,
      databasePoolSize: general.database_connection_pool_limit ?? 10,
      accessGroups: accessGroups(file),
      keyPolicy: keyPolicy(litellm),
      redis: redis.redis,
      cache: cache.cache,
      maxRequestBytes: Math.ceil((general.max_request_size_mb ?? defaultMaxRequestMegabytes) * 1024 * 1024),
      admission: buildAdmission(general, litellm),
      spend: {
        keepRows: general.disable_spend_logs !== true,
        retentionDays:
          general.maximum_spend_logs_retention_period === undefined
            ? undefined
            : Math.ceil(general.maximum_spend_logs_retention_period / secondsPerDay),
        outboxMaxBytes: general.outbox_max_bytes ?? defaultOutboxMaxBytes,
        outboxRetainSeconds: general.outbox_retain_seconds ?? defaultOutboxRetainSeconds,
      },
    },
  };
}

function buildAdmission(
  general: NonNullable<LiteLLMConfig['general_settings']>,
  litellm: NonNullable<LiteLLMConfig['litellm_settings']>,
): AdmissionConfig {
  const { max_budget: maxBudget, budget_duration: duration } = litellm;
  return {
    budgetExceededStatus: general.budget_exceeded_status ?? 429,
    budgetUnavailable: general.budget_unavailable ?? 'refuse',
    strictAcrossRegions: general.strict_budgets_across_regions ?? true,
    unpricedModels: general.unpriced_models ?? 'allow',
    capOutputToBudget: general.cap_output_to_budget ?? false,
    defaultOutputTokens: general.default_output_tokens ?? defaultOutputTokens,
    shareMinimumOne: general.share_minimum === 1,
    expectedReplicas: general.expected_replicas ?? 1,
    globalBudget: maxBudget === undefined ? undefined : { maxMicros: Math.floor(maxBudget * 1e6), duration },
  };
}

function accessGroups(file: LiteLLMConfig): AccessGroups {
  const groups = new Map<string, string[]>();
  for (const entry of file.model_list) {
    for (const name of entry.model_info?.access_groups ?? []) {
      const models = groups.get(name) ?? [];
      if (!models.includes(entry.model_name)) groups.set(name, [...models, entry.model_name]);
    }
  }
  return groups;
}

function keyPolicy(litellm: NonNullable<LiteLLMConfig['litellm_settings']>): KeyPolicy {
  const { team_key_generation: team, personal_key_generation: personal } = litellm.key_generation_settings ?? {};
  return {
    defaults: litellm.default_key_generate_params ?? {},
    upperBound: litellm.upperbound_key_generate_params ?? {},
    teamKeys: { makers: team?.allowed_team_member_roles ?? ['admin'], required: team?.required_params ?? [] },
    personalKeys: {
      makers: personal?.allowed_user_roles ?? ['proxy_admin', 'internal_user'],
      required: personal?.required_params ?? [],
    },
    userBudget: {
      ...(litellm.max_internal_user_budget === undefined ? {} : { max_budget: litellm.max_internal_user_budget }),
      ...(litellm.internal_user_budget_duration === undefined
        ? {}
        : { budget_duration: litellm.internal_user_budget_duration }),
    },
  };
}

/** Names in fallback lists that stand for nothing: a typo there would only show when something fails. */
function unknownFallbacks(
  file: LiteLLMConfig,
  groups: ReadonlyMap<string, readonly Deployment[]>,
  recovery: RecoverySettings,
): Finding[] {
  const aliases = Object.keys(file.router_settings?.model_group_alias ?? {});
  const deployments = [...groups.values()].flat();
  const named = new Set([
    ...groups.keys(),
    ...aliases,
    ...deployments.flatMap(({ id, provider, model }) => [id, `${provider}/${model}`]),
  ]);
  const patterns = [...named].filter((name) => name.includes('*')).map((name) => name.split('*'));
  const isKnown = (name: string): boolean =>
    named.has(name) || patterns.some(([head = '', tail = '']) => name.startsWith(head) && name.endsWith(tail));
  const withoutProvider = [...groups.keys()].map((group) => group.slice(group.indexOf('/') + 1));
  const findings: Finding[] = [];
  for (const [setting, map] of [
    ['fallbacks', recovery.fallbacks],
    ['context_window_fallbacks', recovery.contextWindowFallbacks],
    ['content_policy_fallbacks', recovery.contentPolicyFallbacks],
    ['default_fallbacks', new Map([['*', file.router_settings?.default_fallbacks ?? []]])],
  ] as const) {
    const path = [file.router_settings?.[setting] === undefined ? 'litellm_settings' : 'router_settings', setting];
    for (const [from, to] of map) {
      if (from !== '*' && !isKnown(from) && !withoutProvider.includes(from)) {
        findings.push({
          path,
          message: `"${from}" is not a model_name of model_list, so its fallbacks are never used`,
        });
      }
      for (const target of to) {
        if (isKnown(target)) continue;
        findings.push({ path, message: `"${target}" (fallback of "${from}") is not a model_name that can be called` });
      }
    }
  }
  return findings;
}

/** Checks of LiteLLM's that this gateway does not make; a check that nobody makes must not look like one. */
function unknownChecks(router: NonNullable<LiteLLMConfig['router_settings']>): Finding[] {
  return (router.optional_pre_call_checks ?? []).flatMap((check, index) =>
    check === 'enforce_model_rate_limits'
      ? []
      : [
          {
            path: ['router_settings', 'optional_pre_call_checks', index],
            message: `"${check.slice(0, 60)}" is not a check this version makes; enforce_model_rate_limits is`,
          },
        ],
  );
}
