/** How a request is routed and how it recovers: the settings that the router, `nextMove` and the cooldown decide by. */
import type { UpstreamErrorKind } from './errors.ts';

export interface RecoverySettings {
  /** Attempts after the first one, in one model group. */
  readonly numRetries: number;
  /** Retries by kind of failure, when the policy names it; replaces `numRetries`. */
  readonly retriesByKind: Readonly<Partial<Record<UpstreamErrorKind, number>>>;
  readonly retriesByKindOfGroup: ReadonlyMap<string, Readonly<Partial<Record<UpstreamErrorKind, number>>>>;
  /** Least wait before another attempt at the only deployment left, seconds. */
  readonly retryAfterSeconds: number;
  /** The same by upstream status. */
  readonly retryAfterSecondsByStatus: ReadonlyMap<number, number>;
  readonly fallbacks: ReadonlyMap<string, readonly string[]>;
  readonly contextWindowFallbacks: ReadonlyMap<string, readonly string[]>;
  readonly contentPolicyFallbacks: ReadonlyMap<string, readonly string[]>;
  /** For groups that have no entry of their own. */
  readonly defaultFallbacks: readonly string[];
  readonly maxFallbacks: number;
}

export type StrategyName =
  | 'simple-shuffle'
  | 'least-busy'
  | 'usage-based-routing'
  | 'usage-based-routing-v2'
  | 'latency-based-routing'
  | 'cost-based-routing';

export interface RoutingSettings {
  readonly strategy: StrategyName;
  /** How much slower than the fastest still counts as fast: 0.5 = 50 %. */
  readonly latencyBuffer: number;
  /** Speeds older than this are forgotten. */
  readonly latencyTtlSeconds: number;
  readonly tagFiltering: boolean;
  /** Any of the request's tags is enough (LiteLLM's default), or all of them are needed. */
  readonly matchAnyTag: boolean;
  /** Compare prompts with context windows before an upstream does. */
  readonly preCallChecks: boolean;
  /** Refuse what would exceed a deployment's rpm or tpm, whatever the strategy. */
  readonly enforceRateLimits: boolean;
  /** Only deployments of this region serve, for example `eu`; undefined = all. */
  readonly allowedRegion?: string;
}

export interface CooldownSettings {
  readonly enabled: boolean;
  readonly cooldownSeconds: number;
  /** Failures that are tolerated before cooling; undefined = the rules for rates and statuses decide. */
  readonly allowedFails: number | undefined;
  readonly allowedFailsByKind: Readonly<Partial<Record<UpstreamErrorKind, number>>>;
}

/** Tells sibling processes that a deployment is out of rotation. It must not block and must not throw. */
export interface CooldownShare {
  publish(deploymentId: string, forMs: number): void;
}
