/** Every rule of retry, wait and fallback, as one pure decision. The caller acts on it and decides nothing itself. */
import type { UpstreamError } from '../domain/errors.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { RequestedFallback, RequestOverrides } from '../domain/request.ts';

/** Where a request stands after a failed attempt. */
export interface Standing {
  /** Model groups in the order they were entered; the first is the one the client asked for. */
  readonly groups: readonly string[];
  /** What the client wrote for the first group: an alias of it, or a name that its pattern fits. */
  readonly requested?: string;
  /** Failures in the current group, oldest first; at least one. */
  readonly failures: readonly UpstreamError[];
  /** Deployments of the current group: how many there are, may be called now, and have not failed this request yet. */
  readonly deployments: { readonly all: number; readonly eligible: number; readonly untried: number };
  /** Whether the group's retry budget has room for one more. */
  readonly retryBudgetLeft: boolean;
  /** `max_retries` of the deployment that failed last. */
  readonly deploymentRetries: number | undefined;
  readonly overrides: RequestOverrides;
  /** Whether all that a name stands for has had this request before: its group, or each of its deployments. */
  readonly isSpent: (name: string) => boolean;
  /** Fallbacks of the request that were taken, of those that change it. */
  readonly taken: ReadonlySet<RequestedFallback>;
  readonly remainingMs: number;
}

export type Move =
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'fallback'; readonly to: RequestedFallback }
  | { readonly kind: 'give-up' };

/** Bounds of the exponential wait, and the longest `Retry-After` that is waited for (LiteLLM's numbers). */
const firstDelayMs = 500;
const longestDelayMs = 8_000;
const longestRetryAfterMs = 60_000;

export function nextMove(standing: Standing, settings: RecoverySettings, random: () => number): Move {
  const last = standing.failures.at(-1);
  const group = standing.groups.at(-1);
  if (last === undefined || group === undefined || standing.remainingMs <= 0) return { kind: 'give-up' };
  if (mayRetry(standing, last, group, settings)) {
    const afterMs = waitBeforeRetry(standing, last, settings, random);
    if (afterMs < standing.remainingMs) return { kind: 'retry', afterMs };
  }
  const to = nextFallback(standing, last, settings);
  return to === undefined ? { kind: 'give-up' } : { kind: 'fallback', to };
}

function mayRetry(standing: Standing, last: UpstreamError, group: string, settings: RecoverySettings): boolean {
  if (standing.deployments.eligible === 0 || !standing.retryBudgetLeft) return false;
  // A prompt that is too long or refused stays so; the special lists take over at once.
  if (last.kind === 'context-window' && settings.contextWindowFallbacks.size > 0) return false;
  if (last.kind === 'content-policy' && settings.contentPolicyFallbacks.size > 0) return false;
  const policy = settings.retriesByKindOfGroup.get(group)?.[last.kind] ?? settings.retriesByKind[last.kind];
  if (policy !== undefined) return standing.failures.length <= policy;
  const retries = standing.overrides.numRetries ?? standing.deploymentRetries ?? settings.numRetries;
  return standing.failures.length <= retries && isWorthRetrying(last, standing, settings);
}

function isWorthRetrying(last: UpstreamError, standing: Standing, settings: RecoverySettings): boolean {
  // The provider speaks for itself; another deployment may still know better.
  if (last.retryAdvised === false && standing.deployments.untried === 0) return false;
  switch (last.kind) {
    case 'timeout':
    case 'unavailable':
      return true;
    case 'rate-limit':
      // Waiting for a quota is for those who have nowhere else to go.
      return standing.deployments.untried > 0 || nextFallback(standing, last, settings) === undefined;
    case 'authentication':
      // Another key may be valid; the same one will not become so.
      return standing.deployments.untried > 0;
    case 'bad-request':
    case 'content-policy':
    case 'context-window':
    case 'not-found':
      return last.status === 409 || last.retryAdvised === true;
  }
}

function waitBeforeRetry(
  standing: Standing,
  last: UpstreamError,
  settings: RecoverySettings,
  random: () => number,
): number {
  // Somebody else can be asked right away.
  if (standing.deployments.untried > 0) return 0;
  const asked = (last.retryAfterSeconds ?? 0) * 1000;
  const least = (settings.retryAfterSecondsByStatus.get(last.status) ?? settings.retryAfterSeconds) * 1000;
  if (asked > 0 && asked <= longestRetryAfterMs) return Math.max(asked, least);
  const ceiling = Math.min(firstDelayMs * 2 ** (standing.failures.length - 1), longestDelayMs);
  return Math.max(ceiling * random(), least);
}

/**
 * The first that is not spent: from the failed group's own list, then from those of the groups that led to it. So
 * `a: [b]` and `b: [c]` reach c, and `max_fallbacks` bounds the way.
 */
function nextFallback(
  standing: Standing,
  last: UpstreamError,
  settings: RecoverySettings,
): RequestedFallback | undefined {
  const { overrides, groups, isSpent, taken } = standing;
  if (overrides.disableFallbacks) return undefined;
  if (groups.length - 1 >= settings.maxFallbacks) return undefined;
  if (overrides.fallbacks !== undefined) {
    // Another request may go where this one has been: a shorter prompt to the same model.
    return overrides.fallbacks.find((one) => (one.members === undefined ? !isSpent(one.model) : !taken.has(one)));
  }
  const model = namesOf(standing)
    .flatMap((names) => fallbackList(names, last, settings))
    .find((name) => !isSpent(name));
  return model === undefined ? undefined : { model };
}

/** Names by which a list may be stored for each group, the newest group first. */
const namesOf = ({ groups, requested }: Standing): readonly (readonly string[])[] =>
  groups
    .map((group, index) =>
      index === 0 && requested !== undefined && requested !== group ? [requested, group] : [group],
    )
    .toReversed();

function fallbackList(failed: readonly string[], last: UpstreamError, settings: RecoverySettings): readonly string[] {
  // Where a special list exists, only it speaks for its kind: a general fallback would fail the same way.
  if (last.kind === 'context-window' && settings.contextWindowFallbacks.size > 0) {
    return firstList(settings.contextWindowFallbacks, failed) ?? [];
  }
  if (last.kind === 'content-policy' && settings.contentPolicyFallbacks.size > 0) {
    return firstList(settings.contentPolicyFallbacks, failed) ?? [];
  }
  return generalFallbacks(failed, settings);
}

function generalFallbacks(failed: readonly string[], settings: RecoverySettings): readonly string[] {
  const names = failed.flatMap((name) => [name, name.slice(name.indexOf('/') + 1)]);
  return firstList(settings.fallbacks, names) ?? settings.defaultFallbacks;
}

const firstList = (lists: RecoverySettings['fallbacks'], names: readonly string[]): readonly string[] | undefined => {
  const name = names.find((candidate) => lists.has(candidate));
  return name === undefined ? undefined : lists.get(name);
};
