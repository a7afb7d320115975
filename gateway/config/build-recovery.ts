/** Retries, waits and fallbacks of the file in the words of the policies. */
import type { UpstreamErrorKind } from '../domain/errors.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { LiteLLMConfig, RetryPolicyMap } from './schema.ts';

const defaultRetries = 2;
const defaultMaxFallbacks = 5;

export function buildRecovery(file: LiteLLMConfig): RecoverySettings {
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

export function byKind(
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
