/** What the gateway runs on: the config file in its own words, every default filled in. */
import type { CacheSettings } from '../domain/cache-settings.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { KeyPolicy } from '../domain/key-policy.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import type { PassThroughEndpoint } from '../domain/pass-through.ts';
import type { ModelCatalog } from '../domain/prices.ts';
import type { CooldownSettings, RecoverySettings, RoutingSettings } from '../domain/recovery.ts';
import type { RedisSettings } from '../domain/redis-settings.ts';

export interface GatewayConfig {
  /** Deployments by model group, in the order of the file. */
  readonly groups: ReadonlyMap<string, readonly Deployment[]>;
  /** Other names for model groups; hidden ones are not listed. */
  readonly aliases: ReadonlyMap<string, { readonly group: string; readonly hidden: boolean }>;
  /** Paths whose requests are sent on as they are. */
  readonly passThrough: readonly PassThroughEndpoint[];
  readonly recovery: RecoverySettings;
  readonly routing: RoutingSettings;
  readonly cooldown: CooldownSettings;
  /** File with prices and limits of models. */
  readonly modelCostMap: string | undefined;
  /** What is known of models that are only named when they are asked for, through a pattern. */
  readonly catalog: ModelCatalog | undefined;
  /** Leave out parameters that a provider cannot express, instead of refusing the request. */
  readonly dropParams: boolean;
  /** Test hooks in requests of every key, not of administrators alone. */
  readonly clientsMayMock: boolean;
  /** Time for a whole request, all attempts together. */
  readonly requestTimeoutSeconds: number;
  readonly masterKey: string | undefined;
  /** Requests need no key. */
  readonly allowUnauthenticated: boolean;
  readonly databaseUrl: string | undefined;
  readonly databasePoolSize: number;
  /** From the file or the environment; one for everything that processes share. */
  readonly redis: RedisSettings | undefined;
  /** Undefined = answers are not cached. */
  readonly cache: CacheSettings | undefined;
  readonly maxRequestBytes: number;
  readonly accessGroups: AccessGroups;
  readonly keyPolicy: KeyPolicy;
  readonly admission: AdmissionConfig;
  readonly spend: SpendConfig;
}

/** How budgets and rate limits are kept. */
export interface AdmissionConfig {
  readonly budgetExceededStatus: 400 | 422 | 429;
  readonly budgetUnavailable: 'refuse' | 'share' | 'allow';
  /** Spent only once every candidate replica shows the grant. */
  readonly strictAcrossRegions: boolean;
  readonly unpricedModels: 'allow' | 'refuse';
  readonly capOutputToBudget: boolean;
  /** Output that is reckoned with when a request states no maximum. */
  readonly defaultOutputTokens: number;
  readonly shareMinimumOne: boolean;
  readonly expectedReplicas: number;
  /** For everything that this gateway spends. */
  readonly globalBudget: { readonly maxMicros: number; readonly duration: string | undefined } | undefined;
}

/** What is kept of what requests cost. */
export interface SpendConfig {
  /** False: accounts and sums alone, no rows of single requests. */
  readonly keepRows: boolean;
  /** Rows of single requests are kept for so many days; undefined = for ever. */
  readonly retentionDays: number | undefined;
  readonly outboxMaxBytes: number;
  readonly outboxRetainSeconds: number;
}
