/**
 * What outlives a configuration: stores, money, what was learned of deployments, connections. A configuration stands on
 * it as a `Generation`, and another one takes its place without anything here being lost.
 */
import { randomUUIDv7 } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type AdmissionSettings, SlicedAdmission } from './admission/sliced-admission.ts';
import type { AppOptions } from './app.ts';
import { awsSigner } from './aws-signer.ts';
import { SpendArchive } from './cluster/spend-archive.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import { Degradations } from './degradation.ts';
import type { CacheSiblings } from './domain/answer-cache.ts';
import { windowOf } from './domain/budget-window.ts';
import type { ConfigAdministration } from './domain/config-administration.ts';
import { accountId, type Scope } from './domain/entitlements.ts';
import type { Siblings } from './domain/slices.ts';
import type { SpendEvent, SpendRecorder } from './domain/spend.ts';
import { Live } from './live.ts';
import { openOutbox } from './open-outbox.ts';
import { openRedisLinks, type RedisLinks } from './open-redis-links.ts';
import { type OpenedRegion, openRegion } from './open-region.ts';
import { noOutbox } from './outbox/no-outbox.ts';
import type { Outbox } from './outbox/outbox.ts';
import type { Patience } from './patience.ts';
import type { SignCall } from './pipeline/attempt.ts';
import { Transport } from './providers/transport.ts';
import { CooldownBook } from './routing/cooldown-book.ts';
import { LoadBook } from './routing/load.ts';
import { RetryBudget } from './routing/retry-budget.ts';
import type { Settings } from './settings.ts';
import { ChangeListener } from './stores/change-listener.ts';
import { openStores, type Stores } from './stores/stores.ts';
import { onlyRegion } from './stores/write-transaction.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';

export interface GroundOptions {
  readonly settings: Settings;
  /** The first configuration: where the stores are. */
  readonly config: GatewayConfig;
  readonly logger: Logger;
  /** Told of each request that has ended. */
  readonly logRequest?: (event: SpendEvent) => void;
  readonly version: string;
  readonly isLeaving: () => boolean;
  /** Text for /metrics; with several workers it covers all of them. */
  readonly metricsText: (metrics: Metrics) => AppOptions['health']['metrics'];
  /** Whether this process writes the snapshot; one of several workers does. */
  readonly writesSnapshot: boolean;
  /** Undefined for a process on its own. */
  readonly cacheSiblings?: CacheSiblings | undefined;
}

export interface Ground {
  readonly settings: Settings;
  readonly logger: Logger;
  /** Told of each request that has ended. */
  readonly logRequest?: (event: SpendEvent) => void;
  readonly version: string;
  readonly isLeaving: () => boolean;
  /** Whether this process is the one of its folder that writes what a start without stores needs. */
  readonly writesSnapshot: boolean;
  readonly cacheSiblings: CacheSiblings | undefined;
  /** Set once, when there is something to administer. */
  administration: ConfigAdministration | undefined;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly metricsText: AppOptions['health']['metrics'];
  /** Which generation requests begin with. */
  readonly live: Live;
  readonly stores: Stores;
  /** Undefined without a database: then no spend is kept. */
  readonly outbox: Outbox | undefined;
  readonly spend: SpendRecorder;
  /** Budgets and rate limits. */
  readonly admission: SlicedAdmission;
  readonly cooldowns: CooldownBook;
  readonly load: LoadBook;
  readonly retries: RetryBudget;
  readonly transport: Transport;
  readonly metrics: Metrics;
  readonly sign: SignCall;
  /** Undefined where there is one region, or no database. */
  readonly region: OpenedRegion | undefined;
  /** Undefined without Redis. */
  readonly redis: RedisLinks | undefined;
  /** Undefined where changes are only polled for. */
  readonly listener: ChangeListener | undefined;
  /** What this gateway does without at the moment. */
  readonly degradations: Degradations;
  /** What the live configuration says otherwise and a running process does not take over, by the names of the file. */
  readonly restartRequired: readonly string[];
  /** Reads the record and connects. What is silent is not waited for beyond the patience. @throws NothingKnown */
  start(patience: Patience): Promise<void>;
  /** Opens what a configuration needs and this ground does not have. @throws when it cannot be opened. */
  prepare(config: GatewayConfig): GroundChange;
  /** Ends pools and connections; call after the last request. */
  close(): Promise<void>;
}

/** Waits for its configuration to become live. Exactly one of the two is called; neither waits or fails. */
export interface GroundChange {
  commit(): void;
  discard(): void;
}

/** @throws OutboxUnavailable */
export function openGround(options: GroundOptions): Ground {
  const { settings, logger } = options;
  const now = (): number => performance.now();
  const live = new Live();
  let config = options.config;
  let redis: RedisLinks | undefined;
  let restartRequired: readonly string[] = [];
  let started = false;

  const stores = openStores({
    databaseUrl: settings.databaseUrl ?? config.databaseUrl,
    poolSize: config.databasePoolSize,
    dataDirectory: settings.dataDirectory,
    saltKey: settings.saltKey,
    writesSnapshot: options.writesSnapshot,
    accessGroups: config.accessGroups,
    keepSpendRows: config.spend.keepRows,
    spendRetentionDays: config.spend.retentionDays,
    region: settings.region?.name,
    logger,
  });
  const region = openRegion(
    settings,
    stores,
    logger,
    (id, text) => redis?.cooldowns.notify(id, text),
    () => config.admission.strictAcrossRegions,
  );
  const load = new LoadBook({ now, latencyTtlSeconds: config.routing.latencyTtlSeconds });
  const cooldowns = new CooldownBook();
  const metrics = new Metrics({
    inFlight: () => live.inFlight,
    outbox: () => outbox,
    databaseUp: () => stores.mirror?.up,
    redisUp: () => redis?.cooldowns.up,
    region: () => region?.office,
    deploymentStates: () => live.current?.router.health() ?? [],
    unpricedDeployments: () => live.current?.withoutPrice.length ?? 0,
    configuration: () => ground.administration?.standing(),
    degraded: () => degradations.list(),
    snapshotAgeSeconds: () => stores.mirror?.snapshotAgeSeconds,
  });
  const ledger = region?.office.ledger ?? stores.ledger;
  const archive =
    settings.outboxArchive &&
    new SpendArchive({ ...settings.outboxArchive, from: settings.region?.name ?? onlyRegion.region });
  const outbox =
    ledger === undefined
      ? undefined
      : openOutbox({
          settings,
          spend: () => config.spend,
          logger,
          ledger,
          metrics: () => metrics,
          mayForget: region && ((logId, seq, isArchived) => region.office.shown.mayForget(logId, seq, isArchived)),
          archive,
        });
  if (outbox === undefined) logger.warn('there is no database: nothing is kept of what requests cost');
  const admission = new SlicedAdmission({
    settings: admissionSettings(settings, config),
    budgets: region?.office.ledger ?? stores.budgets,
    get limits() {
      return redis?.limits;
    },
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
  const transport = new Transport();

  const putGlobalBudget = async (): Promise<void> => {
    const { globalBudget } = config.admission;
    // A replica's accounts come from the writer, whose gateways have the same configuration.
    if (globalBudget === undefined || region?.office.state.standing === 'standby') return;
    const window = globalBudget.duration === undefined ? undefined : windowOf(globalBudget.duration, Date.now());
    await stores.putAccount?.(globalAccount, globalBudget.maxMicros, window).catch((error: unknown) => {
      logger.warn({ err: error }, 'the global budget could not be written; the one of the last start holds');
    });
  };

  const { mirror } = stores;
  const listener =
    mirror === undefined || settings.directDatabaseUrl === undefined
      ? undefined
      : new ChangeListener({
          url: settings.directDatabaseUrl,
          onChange: (change) => {
            if (change === 'identity') mirror.wake();
            else void ground.administration?.look();
          },
          onError: (error) => logger.debug({ err: error }, 'changes are not heard, only polled for'),
        });
  const degradations = new Degradations(() => {
    const standing = ground.administration?.standing();
    return {
      schemaFault: stores.schema?.fault,
      databaseUp: mirror?.up,
      redisUp: redis?.cooldowns.up,
      snapshotAgeSeconds: mirror?.snapshotAgeSeconds,
      pressure: outbox?.pressure,
      // In a standby region nobody leads: its database takes no lease.
      leaderKnown: standing?.role !== 'unknown' || (region !== undefined && region.office.state.standing !== 'writer'),
      configFault: standing?.fault,
      unconfirmedMicros: region?.office.grants.overdueMicros,
      beyondRpo: region?.office.isBeyondRpo,
      restartRequired,
    };
  }, Date.now);

  const ground: Ground = {
    settings,
    logger,
    logRequest: options.logRequest,
    version: options.version,
    isLeaving: options.isLeaving,
    writesSnapshot: options.writesSnapshot,
    cacheSiblings: options.cacheSiblings,
    administration: undefined,
    now,
    metricsText: options.metricsText(metrics),
    live,
    stores,
    outbox,
    spend: outbox ?? noOutbox,
    admission,
    cooldowns,
    load,
    retries: new RetryBudget(now),
    transport,
    metrics,
    sign: awsSigner(settings.environment, logger),
    region,
    listener,
    degradations,
    get redis() {
      return redis;
    },
    get restartRequired() {
      return restartRequired;
    },
    start: async (patience) => {
      const connected = redis === undefined ? undefined : patience.wait(redis.start());
      // No row is read before the schema has said that this gateway may.
      await stores.schema?.start(patience.leftMs);
      await stores.mirror?.start(patience.leftMs);
      await region?.start(patience.leftMs);
      stores.housekeeping?.start();
      listener?.start();
      degradations.start();
      await Promise.all([connected, patience.wait(Promise.all([outbox?.start(), putGlobalBudget()]))]);
      admission.start();
      started = true;
    },
    prepare: (next) => {
      const before = redis;
      const links = isDeepStrictEqual(next.redis, before?.settings)
        ? before
        : next.redis === undefined
          ? undefined
          : openRedisLinks({
              settings: next.redis,
              live,
              load,
              slotExpiryMs: settings.slotExpirySeconds * 1000,
              notices: region && {
                onNotice: (text) => region.office.denials.hear(text),
                onReady: () => region.office.denials.tellAgain(),
              },
              logger,
            });
      return {
        commit: () => {
          const hadBudget = config.admission.globalBudget;
          config = next;
          redis = links;
          if (links !== before) {
            before?.close();
            if (started) void links?.start();
          }
          const ids = new Set(deploymentIdsOf(next));
          cooldowns.keepOnly(ids);
          load.follow(ids, next.routing.latencyTtlSeconds);
          admission.reconfigure(admissionSettings(settings, next), globalScope(next));
          stores.follow({
            poolSize: next.databasePoolSize,
            accessGroups: next.accessGroups,
            keepSpendRows: next.spend.keepRows,
            spendRetentionDays: next.spend.retentionDays,
          });
          if (started && !isDeepStrictEqual(hadBudget, next.admission.globalBudget)) void putGlobalBudget();
          restartRequired =
            settings.databaseUrl === undefined && next.databaseUrl !== options.config.databaseUrl
              ? ['general_settings.database_url']
              : [];
        },
        discard: () => {
          if (links !== before) links?.close();
        },
      };
    },
    close: async () => {
      degradations.stop();
      redis?.close();
      archive?.close();
      await listener?.stop();
      await transport.close();
      await region?.stop();
      await stores.close();
    },
  };
  return ground;
}

export const deploymentIdsOf = ({ groups }: GatewayConfig): string[] =>
  [...groups.values()].flat().map((deployment) => deployment.id);

/** Without a database nobody tells a process of its siblings; the configured number counts. */
const alone: Siblings = { logId: randomUUIDv7(), live: undefined, rank: undefined };

const admissionSettings = (settings: Settings, config: GatewayConfig): AdmissionSettings => ({
  ...config.admission,
  expectedReplicas: settings.expectedReplicas ?? config.admission.expectedReplicas,
  rateWindowMs: settings.rateWindowSeconds * 1000,
  slotExpiryMs: settings.slotExpirySeconds * 1000,
});

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
