/**
 * Everything that is made from one configuration, and never changes: which names there are, how failures are answered,
 * who may sign in, and the routes. Built as a whole before a request sees any of it.
 */
import { randomUUIDv7 } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type App, buildApp } from './app.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Deployment } from './domain/deployment.ts';
import { hashKey } from './domain/keys.ts';
import type { Caller } from './domain/request.ts';
import { gatewayStatus } from './gateway-status.ts';
import { deploymentIdsOf, type Ground, type GroundChange } from './ground.ts';
import { InFlight } from './http/in-flight.ts';
import { type OpenedCache, openCache } from './open-cache.ts';
import { PromptCounter } from './pipeline/count-prompt.ts';
import { makeEstimator } from './pipeline/estimate.ts';
import type { ServeDependencies } from './pipeline/serve.ts';
import { encodingsOf, loadTokenizers } from './pipeline/tokenizer.ts';
import { unpriced, withFacts } from './pricing/model-facts.ts';
import { passedPrices } from './pricing/passed-prices.ts';
import { entryPricer } from './pricing/reprice.ts';
import { chooseAdapters } from './providers/adapters.ts';
import { Router } from './routing/router.ts';
import { faultsOfModel } from './stored-models.ts';
import { secretSeal } from './stores/secret-seal.ts';

export interface Generation {
  readonly config: GatewayConfig;
  readonly app: App['fastify'];
  readonly router: Router;
  readonly deploymentIds: readonly string[];
  /** Deployments for whose model nobody states a price. */
  readonly withoutPrice: readonly Deployment[];
  /** Requests for models that began here. */
  readonly inFlight: InFlight;
  readonly cache: OpenedCache | undefined;
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** @param successor keeps what it shares with this one. */
  close(successor: Generation | undefined): Promise<void>;
}

/** A generation that is whole and serves nobody yet. Exactly one of the two is called. */
export interface PreparedGeneration {
  /** From here on requests begin with it. Neither waits nor fails. */
  commit(): void;
  discard(): Promise<void>;
}

/** Whoever asks without a key where none is needed: no administrator, and one tenant together with all others. */
const anonymous: Caller = { keyHash: hashKey('anonymous'), keyAlias: 'anonymous', role: 'caller', models: [] };

/** @throws when something that the configuration names cannot be had; then nothing has changed. */
export async function prepareGeneration(ground: Ground, config: GatewayConfig): Promise<PreparedGeneration> {
  const change = ground.prepare(config);
  let generation: Generation;
  try {
    generation = await buildGeneration(ground, config);
  } catch (error) {
    change.discard();
    throw error;
  }
  return {
    commit: () => become(ground, change, generation),
    discard: async () => {
      change.discard();
      await generation.close(ground.live.current);
    },
  };
}

function become(ground: Ground, change: GroundChange, generation: Generation): void {
  const { live, metrics, logger, stores } = ground;
  const { config, withoutPrice } = generation;
  change.commit();
  metrics.know(new Set(generation.router.directory.names()));
  live.become(generation);
  if (withoutPrice.length > 0 && stores.budgets !== undefined) {
    const fate = config.admission.unpricedModels === 'allow' ? 'are let through without being counted' : 'are refused';
    logger.warn(
      { deployments: withoutPrice.map(({ id }) => id) },
      `deployments without prices: requests with a budget ${fate}`,
    );
  }
}

async function buildGeneration(ground: Ground, config: GatewayConfig): Promise<Generation> {
  const { settings, stores, metrics, load, logger, now } = ground;
  const { catalog } = config;
  const router = new Router({
    groups: config.groups,
    aliases: config.aliases,
    cooldown: config.cooldown,
    cooldowns: ground.cooldowns,
    routing: config.routing,
    load,
    random: Math.random,
    now,
    ...(catalog === undefined ? {} : { withFacts: (deployment: Deployment) => withFacts(deployment, catalog) }),
    share: { publish: (id, forMs) => ground.redis?.cooldowns.publish(id, forMs) },
    onCooled: (deployment, forMs) => {
      metrics.cooled(deployment);
      logger.warn({ deployment: deployment.id, model: deployment.model, forMs }, 'a deployment is out of rotation');
    },
  });
  const counter = config.routing.preCallChecks
    ? new PromptCounter({ tokenizers: await loadTokenizers(encodingsOf(config.groups)), now })
    : undefined;
  const before = ground.live.current;
  const cache = isSameCache(before?.config, config)
    ? before?.cache
    : openCache(config, () => (ground.live.current?.router ?? router).directory, now, logger, ground.cacheSiblings);
  const inFlight = new InFlight();
  const masterKey = settings.masterKey ?? config.masterKey;
  const authentication = {
    masterKeyHash: masterKey === undefined ? undefined : hashKey(masterKey),
    directory: stores.keys,
    ...(config.allowUnauthenticated ? { anonymous } : {}),
  };
  const serve: ServeDependencies = {
    admission: ground.admission,
    estimate: makeEstimator({
      directory: router.directory,
      recovery: config.recovery,
      defaultOutputTokens: config.admission.defaultOutputTokens,
    }),
    cache: cache?.cache,
    router,
    load,
    retries: ground.retries,
    ...(counter === undefined ? {} : { counter }),
    transport: ground.transport,
    now,
    wait: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    random: Math.random,
    recovery: config.recovery,
    clientsMayMock: config.clientsMayMock,
    sign: ground.sign,
    adapterFor: chooseAdapters({ dropParams: config.dropParams }),
    onAttempt: (deployment, outcome) => metrics.attempted(deployment, outcome),
    hasRoom: () => ground.outbox === undefined || ground.outbox.pressure === 'none',
    onBegin: (intent) => ground.spend.begin(intent),
    onDoubt: (requestId, { id, provider, model, modelGroup }, { status }) =>
      ground.spend.doubt(requestId, { deploymentId: id, provider, model, modelGroup, status }),
    whenWritten: () => ground.spend.whenWritten(),
    onSettled: (event) => {
      ground.spend.end(event);
      // What is passed on piece by piece ends as soon as it is settled; a whole answer waits for `whenWritten`.
      if (event.stream || event.operation === 'pass-through') ground.spend.flush();
      if (event.deploymentId !== null) {
        load.use(event.deploymentId, (event.promptTokens ?? 0) + (event.completionTokens ?? 0));
      }
      metrics.settled(event);
      ground.logRequest?.(event);
    },
  };
  const { fastify: app, direct } = buildApp({
    maxRequestBytes: config.maxRequestBytes,
    authentication,
    management: {
      management: stores.management,
      policy: config.keyPolicy,
      accessGroups: config.accessGroups,
      sealSecret: settings.saltKey === undefined ? undefined : secretSeal(settings.saltKey).seal,
      priceEntry: entryPricer(config),
      modelFaults: (model) =>
        faultsOfModel(model, { source: 'model', environment: settings.environment }, settings.saltKey),
    },
    passThrough: config.passThrough,
    passedPrices: passedPrices(config),
    cache: cache?.administration,
    configuration: () => ground.administration,
    status: () => gatewayStatus(ground),
    region: ground.region?.office,
    logger,
    models: {
      inFlight,
      logger,
      isLeaving: ground.isLeaving,
      newId: randomUUIDv7,
      dropParams: config.dropParams,
      requestTimeoutSeconds: config.requestTimeoutSeconds,
      serve,
    },
    health: {
      authentication,
      router,
      isLeaving: ground.isLeaving,
      inFlight: () => ground.live.inFlight,
      version: ground.version,
      image: settings.image,
      versions: () => ({ schema: stores.schema?.newest, config: ground.administration?.standing().version }),
      metrics: ground.metricsText,
      degraded: () => ground.degradations.list(),
      stores: () => ({
        database: upWord(stores.mirror?.up),
        redis: upWord(ground.redis?.cooldowns.up),
      }),
    },
  });
  const closeCache = (successor: Generation | undefined): void => {
    if (cache !== successor?.cache) cache?.close();
  };
  try {
    await app.ready();
  } catch (error) {
    closeCache(before);
    throw error;
  }
  // Connects in the background.
  if (cache !== before?.cache) cache?.start();
  return {
    config,
    app,
    router,
    deploymentIds: deploymentIdsOf(config),
    withoutPrice: unpriced(config.groups),
    inFlight,
    cache,
    handle: (request, response) => {
      if (!direct.handle(request, response)) app.routing(request, response);
    },
    close: async (successor) => {
      closeCache(successor);
      await app.close();
    },
  };
}

/** Then what is in it goes on to be used. */
const isSameCache = (before: GatewayConfig | undefined, after: GatewayConfig): boolean =>
  before !== undefined && isDeepStrictEqual([before.cache, before.redis], [after.cache, after.redis]);

const upWord = (up: boolean | undefined): 'connected' | 'disconnected' | undefined =>
  up === undefined ? undefined : up ? 'connected' : 'disconnected';
