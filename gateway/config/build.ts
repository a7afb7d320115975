/** From the checked file to the gateway's own words: deployments, recovery, cooldown. */
import { createHash } from 'node:crypto';
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamErrorKind } from '../domain/errors.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { ConfigPath } from './document.ts';
import type { Environment } from './environment.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { openAICompatible, otherWireFormats, splitModel } from './providers.ts';
import type { LiteLLMConfig, ModelEntry, RetryPolicyMap } from './schema.ts';

interface BuildOptions {
  readonly environment: Environment;
  readonly demoUpstreams?: readonly string[];
  /** Variables that an entry of `model_list` names and nobody set, by index. */
  readonly missingVariables: ReadonlyMap<number, string>;
}

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
const defaultCooldownSeconds = 5;
const defaultRetries = 2;
const defaultMaxFallbacks = 5;
const defaultMaxRequestMegabytes = 32;

export function buildConfig(file: LiteLLMConfig, options: BuildOptions): Built {
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const router = file.router_settings ?? {};
  const general = file.general_settings ?? {};
  const litellm = file.litellm_settings ?? {};
  const requestTimeoutSeconds = router.timeout ?? litellm.request_timeout ?? defaultRequestTimeoutSeconds;
  const tolerant = router.ignore_invalid_deployments ?? true;

  const groups = new Map<string, Deployment[]>();
  const ids = new Map<string, number>();
  for (const [index, entry] of file.model_list.entries()) {
    const result = buildDeployment(entry, index, requestTimeoutSeconds, router.stream_timeout, options);
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
  if (groups.size === 0 && faults.length === 0) {
    faults.push({
      path: ['model_list'],
      message: 'no deployment is left that could be called; see the warnings above it',
    });
  }
  if (router.routing_strategy !== undefined && router.routing_strategy !== 'simple-shuffle') {
    warnings.push({
      path: ['router_settings', 'routing_strategy'],
      message: `${router.routing_strategy} is not available in this version; simple-shuffle is used`,
    });
  }
  const recovery = buildRecovery(file);
  const targets = new Set(file.model_list.flatMap((entry) => [entry.model_name, entry.litellm_params.model]));
  for (const [setting, map] of [
    ['fallbacks', recovery.fallbacks],
    ['context_window_fallbacks', recovery.contextWindowFallbacks],
    ['content_policy_fallbacks', recovery.contentPolicyFallbacks],
  ] as const) {
    const block = router[setting] === undefined ? 'litellm_settings' : 'router_settings';
    for (const [from, to] of map) {
      for (const target of to) {
        if (!targets.has(target)) {
          warnings.push({
            path: [block, setting],
            message: `"${target}" (fallback of "${from}") is not a model_name of model_list`,
          });
        }
      }
    }
  }
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
      recovery,
      cooldown: {
        enabled: router.disable_cooldowns !== true,
        cooldownSeconds: router.cooldown_time ?? litellm.cooldown_time ?? defaultCooldownSeconds,
        allowedFails: router.allowed_fails ?? litellm.allowed_fails,
        allowedFailsByKind: byKind(router.allowed_fails_policy ?? {}, 'AllowedFails'),
      },
      requestTimeoutSeconds,
      masterKey: general.master_key,
      databaseUrl: general.database_url,
      databasePoolSize: general.database_connection_pool_limit ?? 10,
      redisUrl: redisUrl(router),
      maxRequestBytes: (general.max_request_size_mb ?? defaultMaxRequestMegabytes) * 1024 * 1024,
    },
  };
}

type Invalid = { readonly invalid: string; readonly path: ConfigPath; readonly leaveOut: boolean };

function buildDeployment(
  entry: ModelEntry,
  index: number,
  requestTimeoutSeconds: number,
  streamTimeoutSeconds: number | undefined,
  options: BuildOptions,
): Deployment | Invalid {
  const params = entry.litellm_params;
  const { provider, model } = splitModel(params.model, params.custom_llm_provider);
  const demo = options.demoUpstreams?.[index % (options.demoUpstreams.length || 1)];
  const reach = demo === undefined ? reachProvider(entry, index, provider, options) : { base: demo, key: 'sk-demo' };
  if ('invalid' in reach) return reach;
  const base = URL.canParse(reach.base) ? new URL(reach.base) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    return {
      invalid: `"${reach.base}" is not an http or https address; write for example https://api.openai.com/v1`,
      path: ['litellm_params', 'api_base'],
      leaveOut: false,
    };
  }
  const weight = params.weight;
  const rpm = entry.rpm ?? params.rpm;
  const tpm = entry.tpm ?? params.tpm;
  const maxRetries = params.max_retries ?? params.num_retries;
  const cooldownSeconds = entry.model_info?.cooldown_time ?? params.cooldown_time;
  const prices =
    params.input_cost_per_token === undefined && params.output_cost_per_token === undefined
      ? undefined
      : { inputCostPerToken: params.input_cost_per_token ?? 0, outputCostPerToken: params.output_cost_per_token ?? 0 };
  return {
    id: entry.model_info?.id ?? deploymentId(entry, base.href),
    modelGroup: entry.model_name,
    provider: demo === undefined ? provider : 'demo',
    model,
    origin: base.origin,
    basePath: base.pathname.replace(/\/+$/, ''),
    headers: {
      ...(reach.key === undefined ? {} : { authorization: `Bearer ${reach.key}` }),
      ...(params.organization === undefined ? {} : { 'openai-organization': params.organization }),
    },
    ...(weight === undefined ? {} : { weight }),
    ...(rpm === undefined ? {} : { rpm }),
    ...(tpm === undefined ? {} : { tpm }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(cooldownSeconds === undefined ? {} : { cooldownSeconds }),
    ...(prices === undefined ? {} : { prices }),
    timeoutSeconds: params.timeout ?? requestTimeoutSeconds,
    streamTimeoutSeconds: params.stream_timeout ?? streamTimeoutSeconds ?? params.timeout ?? requestTimeoutSeconds,
  };
}

function reachProvider(
  entry: ModelEntry,
  index: number,
  provider: string,
  options: BuildOptions,
): { base: string; key: string | undefined } | Invalid {
  const params = entry.litellm_params;
  const known = openAICompatible[provider];
  if (known === undefined) {
    const later = otherWireFormats.some((name) => name === provider);
    return {
      invalid: later
        ? `provider "${provider}" is not available in this version`
        : `provider "${provider}" is not known; write for example openai/NAME with an api_base`,
      path: ['litellm_params', 'model'],
      leaveOut: later,
    };
  }
  const variable = options.missingVariables.get(index);
  if (variable !== undefined) {
    return { invalid: `the environment variable ${variable} is not set`, path: ['litellm_params'], leaveOut: true };
  }
  const key =
    params.api_key ?? (known.apiKeyVariable === undefined ? undefined : options.environment[known.apiKeyVariable]);
  const base =
    params.api_base ??
    params.base_url ??
    known.apiBaseVariables
      ?.map((name) => options.environment[name])
      .find((value) => value !== undefined && value !== '') ??
    known.apiBase;
  if (base === undefined) {
    return {
      invalid: `provider "${provider}" has no address of its own; write api_base`,
      path: ['litellm_params'],
      leaveOut: false,
    };
  }
  if ((key === undefined || key === '') && known.keyOptional !== true) {
    return {
      invalid: `has no api_key and ${known.apiKeyVariable} is not set`,
      path: ['litellm_params'],
      leaveOut: true,
    };
  }
  return { base, key: key === '' ? undefined : key };
}

/** The same entry has the same id in every process and after every restart; the key takes part, but only as a hash. */
function deploymentId(entry: ModelEntry, base: string): string {
  const identity = JSON.stringify([
    entry.model_name,
    Object.entries(entry.litellm_params).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    base,
  ]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}

function buildRecovery(file: LiteLLMConfig): RecoverySettings {
  const router = file.router_settings ?? {};
  const litellm = file.litellm_settings ?? {};
  const policy = router.retry_policy;
  const empty: ReadonlyMap<string, readonly string[]> = new Map();
  const fallbacks = router.fallbacks ?? litellm.fallbacks ?? empty;
  return {
    numRetries: router.num_retries ?? litellm.num_retries ?? defaultRetries,
    retriesByKind: policy === undefined || Array.isArray(policy) ? {} : retriesByKind(policy),
    retriesByKindOfGroup: new Map(
      Object.entries(router.model_group_retry_policy ?? {}).map(([group, map]) => [group, retriesByKind(map)]),
    ),
    retryAfterSeconds: router.retry_after ?? 0,
    retryAfterSecondsByStatus: new Map(
      Array.isArray(policy) ? policy.map((entry) => [entry.status_code, entry.retry_after]) : [],
    ),
    fallbacks,
    contextWindowFallbacks: router.context_window_fallbacks ?? litellm.context_window_fallbacks ?? empty,
    contentPolicyFallbacks: router.content_policy_fallbacks ?? litellm.content_policy_fallbacks ?? empty,
    defaultFallbacks: fallbacks.get('*') ?? router.default_fallbacks ?? litellm.default_fallbacks ?? [],
    maxFallbacks: router.max_fallbacks ?? defaultMaxFallbacks,
  };
}

/** LiteLLM's policy keys by our kinds. InternalServerError and ServiceUnavailable both mean "unavailable": the larger counts. */
const policyNames: Readonly<Record<UpstreamErrorKind, readonly string[]>> = {
  authentication: ['AuthenticationError'],
  'bad-request': ['BadRequestError'],
  'content-policy': ['ContentPolicyViolationError'],
  'context-window': ['BadRequestError'],
  'not-found': ['NotFoundError'],
  'rate-limit': ['RateLimitError'],
  timeout: ['TimeoutError'],
  unavailable: ['InternalServerError', 'ServiceUnavailableError'],
};

const errorKinds = Object.keys(policyNames).filter((kind): kind is UpstreamErrorKind => kind in policyNames);

function byKind(
  policy: Readonly<Record<string, number | undefined>>,
  suffix: string,
): Partial<Record<UpstreamErrorKind, number>> {
  const result: Partial<Record<UpstreamErrorKind, number>> = {};
  for (const kind of errorKinds) {
    const stated = policyNames[kind].flatMap((name) => policy[`${name}${suffix}`] ?? []);
    if (stated.length > 0) result[kind] = Math.max(...stated);
  }
  return result;
}

function retriesByKind(policy: RetryPolicyMap): Partial<Record<UpstreamErrorKind, number>> {
  const result = byKind(policy, 'Retries');
  if (policy.DefaultRetries === undefined) return result;
  for (const kind of errorKinds) result[kind] ??= policy.DefaultRetries;
  return result;
}

function redisUrl(router: NonNullable<LiteLLMConfig['router_settings']>): string | undefined {
  if (router.redis_url !== undefined) return router.redis_url;
  if (router.redis_host === undefined) return undefined;
  const password = router.redis_password === undefined ? '' : `:${encodeURIComponent(router.redis_password)}@`;
  return `redis://${password}${router.redis_host}:${router.redis_port ?? 6379}`;
}
