/** The wiring: from settings and a config to a running application and the things behind it. */
import { randomUUIDv7 } from 'node:crypto';
import { type AppOptions, buildApp } from './app.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import { hashKey } from './domain/keys.ts';
import type { SpendEvent } from './domain/spend.ts';
import { InFlight } from './http/in-flight.ts';
import { chooseAdapters } from './providers/adapters.ts';
import { Transport } from './providers/transport.ts';
import { LoadBook } from './routing/load.ts';
import { RetryBudget } from './routing/retry-budget.ts';
import { Router } from './routing/router.ts';
import type { Settings } from './settings.ts';
import { RedisCooldownShare } from './stores/cooldown-share.ts';
import { KeyMirror } from './stores/key-mirror.ts';
import { KeyStore } from './stores/keys.ts';
import { openPool } from './stores/postgres.ts';
import { SnapshotFile } from './stores/snapshot.ts';
import { SpendWriter } from './stores/spend.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';

export interface Dependencies {
  readonly app: ReturnType<typeof buildApp>;
  readonly inFlight: InFlight;
  readonly metrics: Metrics;
  /** Undefined without a database. */
  readonly keys: KeyMirror | undefined;
  readonly cooldowns: RedisCooldownShare | undefined;
  readonly spend: SpendWriter;
  readonly transport: Transport;
  /** Ends pools and connections; call after the last request. */
  close(): Promise<void>;
}

export interface WiringOptions {
  readonly settings: Settings;
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly version: string;
  readonly isLeaving: () => boolean;
  /** Text for /metrics; with several workers it covers all of them. */
  readonly metricsText: (metrics: Metrics) => AppOptions['health']['metrics'];
  /** Whether this process writes the snapshot; one of several workers does. */
  readonly writesSnapshot: boolean;
}

export function wire(options: WiringOptions): Dependencies {
  const { settings, config, logger } = options;
  const now = (): number => performance.now();
  const warn = (what: string) => (error: Error) => logger.warn({ err: error }, what);

  const databaseUrl = settings.databaseUrl ?? config.databaseUrl;
  const pool =
    databaseUrl === undefined
      ? undefined
      : openPool({ url: databaseUrl, poolSize: config.databasePoolSize, onError: warn('a database connection broke') });
  const store = pool === undefined ? undefined : new KeyStore(pool);
  const keys =
    store === undefined
      ? undefined
      : new KeyMirror({
          store,
          snapshot: new SnapshotFile(settings.dataDirectory, settings.saltKey),
          writesSnapshot: options.writesSnapshot,
          logger,
        });

  const redisUrl = settings.redisUrl ?? config.redisUrl;
  const cooldowns =
    redisUrl === undefined
      ? undefined
      : new RedisCooldownShare({
          url: redisUrl,
          processId: randomUUIDv7(),
          deploymentIds: [...config.groups.values()].flat().map((deployment) => deployment.id),
          onCooldown: (id, forMs) => router.adopt(id, forMs),
          onError: (error) => logger.debug({ err: error }, 'a Redis command failed'),
        });
  const load = new LoadBook({ now, latencyTtlSeconds: config.routing.latencyTtlSeconds });
  const router: Router = new Router({
    groups: config.groups,
    aliases: config.aliases,
    cooldown: config.cooldown,
    routing: config.routing,
    load,
    random: Math.random,
    now,
    ...(cooldowns === undefined ? {} : { share: cooldowns }),
    onCooled: (deployment, forMs) => {
      metrics.cooled(deployment);
      logger.warn({ deployment: deployment.id, model: deployment.model, forMs }, 'a deployment is out of rotation');
    },
  });

  const inFlight = new InFlight();
  const transport = new Transport();
  const spend = new SpendWriter({
    pool,
    onDropped: (count, reason) => {
      metrics.spendDropped(count);
      logger.error({ count, reason }, 'spend events were given up');
    },
    onFlushFailed: warn('spend events could not be written; they wait'),
  });
  const metrics = new Metrics({
    inFlight: () => inFlight.count,
    spendQueue: () => spend.queued,
    databaseUp: () => keys?.up,
    redisUp: () => cooldowns?.up,
    deploymentStates: () => router.health(),
    knownModels: new Set(router.directory.names()),
  });

  const masterKey = settings.masterKey ?? config.masterKey;
  const authentication = {
    masterKeyHash: masterKey === undefined ? undefined : hashKey(masterKey),
    directory: store,
  };
  const app = buildApp({
    maxRequestBytes: config.maxRequestBytes,
    authentication,
    keys: store,
    logger,
    models: {
      inFlight,
      logger,
      isLeaving: options.isLeaving,
      newId: randomUUIDv7,
      requestTimeoutSeconds: config.requestTimeoutSeconds,
      serve: {
        router,
        load,
        retries: new RetryBudget(now),
        transport,
        now,
        random: Math.random,
        recovery: config.recovery,
        adapterFor: chooseAdapters({ dropParams: config.dropParams }),
        onAttempt: (deployment, outcome) => metrics.attempted(deployment, outcome),
        onSettled: (event) => {
          spend.record(event);
          if (event.deploymentId !== null) {
            load.use(event.deploymentId, (event.promptTokens ?? 0) + (event.completionTokens ?? 0));
          }
          metrics.settled(event);
          logger.info(toLogLine(event), 'request');
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
        database: keys === undefined ? undefined : keys.up ? 'connected' : 'disconnected',
        redis: cooldowns === undefined ? undefined : cooldowns.up ? 'connected' : 'disconnected',
        snapshotAgeSeconds: keys?.snapshotAgeSeconds,
      }),
    },
  });
  return {
    app,
    inFlight,
    metrics,
    keys,
    cooldowns,
    spend,
    transport,
    close: async () => {
      keys?.stop();
      cooldowns?.close();
      await transport.close();
      await pool?.end();
    },
  };
}

/** What a person looks for when a request went wrong; the spend row has the rest. */
const toLogLine = (event: SpendEvent) => ({
  id: event.requestId,
  call: event.callId === event.requestId ? undefined : event.callId,
  key: event.keyHash.slice(0, 12),
  model: event.requestedModel,
  deployment: event.deploymentId,
  status: event.status,
  ending: event.ending,
  attempts: event.attempts,
  ms: event.durationMs,
});
