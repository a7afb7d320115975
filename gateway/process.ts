/** One gateway process: start, serve, drain. */
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppOptions } from './app.ts';
import { formatFault } from './config/load.ts';
import { drain, version } from './contract.ts';
import type { CacheSiblings } from './domain/answer-cache.ts';
import { GatewayLeaving } from './domain/errors.ts';
import { findConfig } from './find-config.ts';
import { prepareGeneration } from './generation.ts';
import { type Ground, openGround } from './ground.ts';
import { listen, openListener } from './listener.ts';
import { type LiveConfig, openLiveConfig } from './live-config.ts';
import { Patience } from './patience.ts';
import { checkWhoMaySignIn } from './read-config.ts';
import type { Settings } from './settings.ts';
import { explain } from './start-error.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface GatewayProcess {
  readonly port: number;
  /** Unready, wait for load balancers to notice, finish running requests, write what is queued, close. Idempotent. */
  drain(): Promise<void>;
}

export interface ProcessOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly metricsText: (metrics: Metrics) => AppOptions['health']['metrics'];
  readonly writesSnapshot: boolean;
  /** Undefined for a process on its own. */
  readonly cacheSiblings?: CacheSiblings | undefined;
}

/** After the drain deadline, streams get so long to send their error event. */
const lastWordsMs = 1_000;

/**
 * For all stores together, when what is needed of them lies on disk. Known keys are to be served two seconds after the start
 * of a process, wherever its stores are.
 */
const startPatienceMs = 900;
/** Of that, for the place of the configuration: a database that answers must be heard though a bucket does not. */
const configPatienceMs = 400;

/** @throws StartError; then nothing is left running. */
export async function startGateway(options: ProcessOptions): Promise<GatewayProcess> {
  const { settings, log } = options;
  const { logger } = log;
  const startedAtMs = performance.now();
  const patience = new Patience(startPatienceMs);
  const found = await findConfig(settings, new Patience(configPatienceMs));
  const foundAtMs = performance.now();
  const { config, warnings, builtIn, problems } = found;
  if (builtIn !== undefined)
    logger.info({ serves: builtIn.serves }, 'no config file: serving what the environment has keys for');
  for (const problem of problems) logger.error({ reason: problem }, `starting with ${found.origin} instead`);
  for (const warning of warnings) logger.warn(formatFault(found.origin, warning));
  for (const warning of checkWhoMaySignIn(settings, config)) logger.warn(warning);
  const databaseUrl = settings.databaseUrl ?? config.databaseUrl;
  let leaving = false;
  let ground: Ground;
  try {
    ground = openGround({
      ...options,
      config,
      logger,
      logRequest: (event) => log.request(event),
      version,
      isLeaving: () => leaving,
    });
  } catch (error) {
    throw explain(error, settings, databaseUrl);
  }
  options.cacheSiblings?.onRemoved((keys) => ground.live.current?.cache?.cache.forget(keys));
  const listener = openListener(ground.live.handle);
  const liveConfig = openLiveConfig(ground, found);
  ground.administration = liveConfig;
  let port: number;
  let connectedAtMs: number;
  try {
    (await prepareGeneration(ground, config)).commit();
    await ground.start(patience);
    connectedAtMs = performance.now();
    await liveConfig.start();
    port = await listen(listener, settings.port, settings.host);
  } catch (error) {
    await within(liveConfig.stop(), lastWordsMs);
    await close(ground, lastWordsMs);
    throw explain(error, settings, databaseUrl);
  }
  const tookMs = {
    configuration: Math.round(foundAtMs - startedAtMs),
    stores: Math.round(connectedAtMs - foundAtMs),
    all: Math.round(performance.now() - startedAtMs),
  };
  logger.info({ port, host: settings.host, tookMs }, 'the gateway accepts requests');

  let drained: Promise<void> | undefined;
  return {
    port,
    drain: () => {
      drained ??= (async () => {
        leaving = true;
        await leave(ground, liveConfig, listener, log);
      })();
      return drained;
    },
  };
}

async function leave(ground: Ground, liveConfig: LiveConfig, listener: Server, log: Log): Promise<void> {
  const { live, settings, logger } = ground;
  logger.info({ inFlight: live.inFlight }, 'draining');
  // At once, so that another process leads while this one finishes.
  await Promise.all([sleep(settings.drainNoticeSeconds * 1000), within(liveConfig.stop(), lastWordsMs)]);
  const closed = new Promise<void>((resolve) => {
    listener.close(() => resolve());
  });
  // A connection becomes idle when its answer is written; nobody else would close it then.
  const closer = setInterval(() => listener.closeIdleConnections(), 50);
  const inTime = await within(closed, settings.drainDeadlineSeconds * 1000);
  if (!inTime) {
    logger.warn({ inFlight: live.inFlight }, 'the drain deadline has passed; running requests are ended');
    live.abortAll(new GatewayLeaving());
    await within(closed, lastWordsMs);
    listener.closeAllConnections();
  }
  clearInterval(closer);
  await ground.admission.close();
  const unshipped = await close(ground, drain.flushSeconds * 1000);
  if (unshipped > 0) {
    logger.error({ unshipped }, 'the database does not have all spend; the rest lies on disk for the next start');
  }
  logger.info('the gateway has left');
  log.flush();
}

/** @returns events of spend that could not be shipped in the time. */
async function close(ground: Ground, flushMs: number): Promise<number> {
  const unshipped = (await ground.outbox?.close(flushMs)) ?? 0;
  await ground.live.close();
  await ground.close();
  return unshipped;
}

async function within(done: Promise<void>, milliseconds: number): Promise<boolean> {
  const timeout = new AbortController();
  const inTime = await Promise.race([
    done.then(() => true),
    sleep(milliseconds, false, { signal: timeout.signal }).catch(() => false),
  ]);
  timeout.abort();
  return inTime;
}
