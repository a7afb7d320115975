/** The wiring: from settings and a config to a running application and the things behind it. */
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SlicedAdmission } from './admission/sliced-admission.ts';
import { type AppOptions, buildApp } from './app.ts';
import { awsSigner } from './aws-signer.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import { windowOf } from './domain/budget-window.ts';
import type { Deployment } from './domain/deployment.ts';
import { accountId, type Scope } from './domain/entitlements.ts';
import { hashKey } from './domain/keys.ts';
import { describeRedis } from './domain/redis-settings.ts';
import type { Caller } from './domain/request.ts';
import type { Siblings } from './domain/slices.ts';
import { InFlight } from './http/in-flight.ts';
import { openCache } from './open-cache.ts';
import { openOutbox } from './open-outbox.ts';
import { noOutbox } from './outbox/no-outbox.ts';
import type { Outbox } from './outbox/outbox.ts';
import { PromptCounter } from './pipeline/count-prompt.ts';
import { makeEstimator } from './pipeline/estimate.ts';
import type { Tokenizers } from './pipeline/tokenizer.ts';
import { unpriced, withFacts } from './pricing/model-facts.ts';
import { chooseAdapters } from './providers/adapters.ts';
import { Transport } from './providers/transport.ts';
import { LoadBook } from './routing/load.ts';
import { RetryBudget } from './routing/retry-budget.ts';
import { Router } from './routing/router.ts';
import type { Settings } from './settings.ts';
import { RedisCooldownShare } from './stores/cooldown-share.ts';
import type { KeyMirror } from './stores/key-mirror.ts';
import { RedisLimitSlices } from './stores/limits.ts';
import { secretSeal } from './stores/secret-seal.ts';
import { openStores, type Stores } from './stores/stores.ts';
import { UsageExchange } from './stores/usage-exchange.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { toRequestLine } from './telemetry/request-line.ts';

export interface Dependencies {
  readonly app: ReturnType<typeof buildApp>;
  readonly inFlight: InFlight;
  readonly metrics: Metrics;
  /** Undefined without a database. */
  readonly mirror: KeyMirror | undefined;
  readonly cooldowns: RedisCooldownShare | undefined;
  /** Budgets and rate limits. */
  readonly admission: SlicedAdmission;
  /** Connects what admission needs; never fails, since what is away is waited for in the background. */
  startAdmission(): Promise<void>;
  /** Undefined without a database: then no spend is kept. */
  readonly outbox: Outbox | undefined;
  readonly housekeeping: Stores['housekeeping'];
  /** Connects in the background. */
  startCache(): void;
  readonly transport: Transport;
  /** Ends pools and connections; call after the last request. */
  close(): Promise<void>;
}

export interface WiringOptions {
  readonly settings: Settings;
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly version: string;
  /** For the comparison of prompts with context windows; undefined where nobody asked for it. */
  readonly tokenizers?: Tokenizers;
  readonly isLeaving: () => boolean;
  /** Text for /metrics; with several workers it covers all of them. */
  readonly metricsText: (metrics: Metrics) => AppOptions['health']['metrics'];
  /** Whether this process writes the snapshot; one of several workers does. */
  readonly writesSnapshot: boolean;
}

/** Whoever asks without a key where none is needed: no administrator, and one tenant together with all others. */
const anonymous: Caller = { keyHash: hashKey('anonymous'), keyAlias: 'anonymous', role: 'caller', models: [] };

export function wire(options: WiringOptions): Dependencies {
  const { settings, config, logger } = options;
  const now = (): number => performance.now();
  const stores = openStores({
    databaseUrl: settings.databaseUrl ?? config.databaseUrl,
    poolSize: config.databasePoolSize,
    dataDirectory: settings.dataDirectory,
    saltKey: settings.saltKey,
    writesSnapshot: options.writesSnapshot,
    accessGroups: config.accessGroups,
    keepSpendRows: config.spend.keepRows,
    spendRetentionDays: config.spend.retentionDays,
    logger,
  });
  const { ledger, mirror } = stores;
  const outbox = ledger === undefined ? undefined : openOutbox(options, ledger, () => metrics);
  if (outbox === undefined) logger.warn('there is no database: nothing is kept of what requests cost');
  const spend = outbox ?? noOutbox;

  const { redis } = config;
  const load = new LoadBook({ now, latencyTtlSeconds: config.routing.latencyTtlSeconds });
  const deploymentIds = [...config.groups.values()].flat().map((deployment) => deployment.id);
  const processId = randomUUIDv7();
  const cooldowns =
    redis === undefined
      ? undefined
      : new RedisCooldownShare({
          redis,
          processId,
          deploymentIds,
          ...(isRoutedByUsage(config) ? { usage: new UsageExchange({ processId, deploymentIds, ledger: load }) } : {}),
          onCooldown: (id, forMs) => router.adopt(id, forMs),
          onError: (error) => logger.debug({ err: error }, 'a Redis command failed'),
          onChange: (up) => {
            if (up) logger.info({ redis: describeRedis(redis) }, 'Redis answers');
            else logger.warn({ redis: describeRedis(redis) }, 'Redis cannot be reached; each process is on its own');
          },
        });
  const limits =
    redis === undefined
      ? undefined
      : new RedisLimitSlices({
          redis,
          processId: randomUUIDv7(),
          slotExpiryMs: settings.slotExpirySeconds * 1000,
          onError: (error) => logger.debug({ err: error }, 'a Redis command failed'),
        });
  const admission = new SlicedAdmission({
    settings: {
      ...config.admission,
      expectedReplicas: settings.expectedReplicas ?? config.admission.expectedReplicas,
      rateWindowMs: settings.rateWindowSeconds * 1000,
      slotExpiryMs: settings.slotExpirySeconds * 1000,
    },
    budgets: stores.budgets,
    limits,
    siblings: outbox?.heartbeat ?? alone,
    globalScope: globalScope(config),
    endUserScope: (id) => stores.keys?.endUserScope(id),
    now,
    wallNow: Date.now,
    onSoftBudget: (account, spentMicros, softMicros) => {
      metrics.softBudgetExceeded();
      logger.warn({ account, spent: spentMicros / 1e6, softBudget: softMicros / 1e6 }, 'a soft budget is exceeded');
    },
    onRefused: (reason) => metrics.refused(reason),
    onError: (error) => logger.warn({ err: error }, 'budgets or limits could not be renewed'),
  });
  const { catalog } = config;
  const router: Router = new Router({
    groups: config.groups,
    aliases: config.aliases,
    cooldown: config.cooldown,
    routing: config.routing,
    load,
    random: Math.random,
    now,
    ...(catalog === undefined ? {} : { withFacts: (deployment: Deployment) => withFacts(deployment, catalog) }),
    ...(cooldowns === undefined ? {} : { share: cooldowns }),
    onCooled: (deployment, forMs) => {
      metrics.cooled(deployment);
      logger.warn({ deployment: deployment.id, model: deployment.model, forMs }, 'a deployment is out of rotation');
    },
  });

  const cache = openCache(config, router.directory, now, logger);

  const withoutPrice = unpriced(config.groups);
  const inFlight = new InFlight();
  const transport = new Transport();
  const metrics: Metrics = new Metrics({
    inFlight: () => inFlight.count,
    outbox: () => outbox,
    databaseUp: () => mirror?.up,
    redisUp: () => cooldowns?.up,
    deploymentStates: () => router.health(),
    unpricedDeployments: () => withoutPrice.length,
    knownModels: new Set(router.directory.names()),
  });

  const masterKey = settings.masterKey ?? config.masterKey;
  const authentication = {
    masterKeyHash: masterKey === undefined ? undefined : hashKey(masterKey),
    directory: stores.keys,
    ...(config.allowUnauthenticated ? { anonymous } : {}),
  };
  const app = buildApp({
    maxRequestBytes: config.maxRequestBytes,
    authentication,
    management: {
      management: stores.management,
      policy: config.keyPolicy,
      accessGroups: config.accessGroups,
      sealSecret: settings.saltKey === undefined ? undefined : secretSeal(settings.saltKey).seal,
    },
    passThrough: config.passThrough,
    cache: cache?.administration,
    logger,
    models: {
      inFlight,
      logger,
      isLeaving: options.isLeaving,
      newId: randomUUIDv7,
      dropParams: config.dropParams,
      requestTimeoutSeconds: config.requestTimeoutSeconds,
      serve: {
        admission,
        estimate: makeEstimator({
          directory: router.directory,
          recovery: config.recovery,
          defaultOutputTokens: config.admission.defaultOutputTokens,
        }),
        cache: cache?.cache,
        router,
        load,
        retries: new RetryBudget(now),
        ...(options.tokenizers === undefined
          ? {}
          : { counter: new PromptCounter({ tokenizers: options.tokenizers, now }) }),
        transport,
        now,
        wait: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
        random: Math.random,
        recovery: config.recovery,
        clientsMayMock: config.clientsMayMock,
        sign: awsSigner(settings.environment, logger),
        adapterFor: chooseAdapters({ dropParams: config.dropParams }),
        onAttempt: (deployment, outcome) => metrics.attempted(deployment, outcome),
        onBegin: (intent) => spend.begin(intent),
        onDoubt: (requestId, { id, provider, model, modelGroup }, { status }) =>
          spend.doubt(requestId, { deploymentId: id, provider, model, modelGroup, status }),
        onSettled: (event) => {
          spend.end(event);
          if (event.deploymentId !== null) {
            load.use(event.deploymentId, (event.promptTokens ?? 0) + (event.completionTokens ?? 0));
          }
          metrics.settled(event);
          logger.info(toRequestLine(event), 'request');
        },
      },
    },
    health: {
      authentication,
      router,
      isLeaving: options.isLeaving,
      inFlight: () => inFlight.count,
      version: options.version,
      metrics: options.metricsText(metrics),
      stores: () => ({
        database: mirror === undefined ? undefined : mirror.up ? 'connected' : 'disconnected',
        redis: cooldowns === undefined ? undefined : cooldowns.up ? 'connected' : 'disconnected',
        snapshotAgeSeconds: mirror?.snapshotAgeSeconds,
      }),
    },
  });
  return {
    app,
    inFlight,
    metrics,
    mirror,
    cooldowns,
    admission,
    startAdmission: async () => {
      const { globalBudget } = config.admission;
      const window = globalBudget?.duration === undefined ? undefined : windowOf(globalBudget.duration, Date.now());
      await Promise.all([
        outbox?.start(),
        limits?.start(),
        globalBudget === undefined
          ? undefined
          : stores.putAccount?.(globalAccount, globalBudget.maxMicros, window).catch((error: unknown) => {
              logger.warn({ err: error }, 'the global budget could not be written; the one of the last start holds');
            }),
      ]);
      if (withoutPrice.length > 0 && stores.budgets !== undefined) {
        const fate =
          config.admission.unpricedModels === 'allow' ? 'are let through without being counted' : 'are refused';
        logger.warn(
          { deployments: withoutPrice.map(({ id }) => id) },
          `deployments without prices: requests with a budget ${fate}`,
        );
      }
      admission.start();
    },
    outbox,
    housekeeping: stores.housekeeping,
    startCache: () => cache?.start(),
    transport,
    close: async () => {
      cooldowns?.close();
      limits?.close();
      cache?.close();
      await transport.close();
      await stores.close();
    },
  };
}

/** Without a database nobody tells a process of its siblings; the configured number counts. */
const alone: Siblings = { logId: randomUUIDv7(), live: undefined, rank: undefined };

const globalAccount = accountId('global', '');

function globalScope({ admission: { globalBudget } }: GatewayConfig): Scope | undefined {
  if (globalBudget === undefined) return undefined;
  return {
    level: 'global',
    name: 'global',
    account: globalAccount,
    budgets: [{ id: globalAccount, maxMicros: globalBudget.maxMicros }],
    limits: {},
    models: new Map(),
  };
}

/** Whether anything depends on what siblings send to a deployment. */
const isRoutedByUsage = ({ routing, groups }: GatewayConfig): boolean =>
  routing.strategy.startsWith('usage-based') ||
  [...groups.values()].flat().some(({ rpm, tpm }) => rpm !== undefined || tpm !== undefined);
