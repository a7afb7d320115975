/** One gateway process: start, serve, drain. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppOptions } from './app.ts';
import { ConfigError, formatFault, type LoadedConfig, loadConfig } from './config/load.ts';
import { drain, version } from './contract.ts';
import { type Dependencies, type WiringOptions, wire } from './deps.ts';
import { GatewayLeaving } from './domain/errors.ts';
import { addModelFacts } from './model-facts.ts';
import { OutboxUnavailable } from './open-outbox.ts';
import { encodingsOf, loadTokenizers } from './pipeline/tokenizer.ts';
import { CostMapError } from './pricing/cost-map.ts';
import { type Settings, SettingsError } from './settings.ts';
import { NothingKnown } from './stores/key-mirror.ts';
import { describeUrl } from './stores/postgres.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** The gateway cannot start; the message says why and what to do. */
export class StartError extends Error {
  /** 2 for what the user wrote (config, variables), 1 for the world (port, database). */
  readonly exitCode: 1 | 2;
  constructor(message: string, exitCode: 1 | 2, cause?: unknown) {
    super(message, { cause });
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

export interface GatewayProcess {
  readonly port: number;
  readonly dependencies: Dependencies;
  /** Unready, wait for load balancers to notice, finish running requests, write what is queued, close. Idempotent. */
  drain(): Promise<void>;
}

export interface ProcessOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly metricsText: (metrics: Metrics) => AppOptions['health']['metrics'];
  readonly writesSnapshot: boolean;
}

/** LiteLLM's usual example, sk-1234, works, but not without a word about it. */
const shortestSafeKey = 20;

/** After the drain deadline, streams get so long to send their error event. */
const lastWordsMs = 1_000;

/** @throws StartError; then nothing is left running. */
export async function startGateway(options: ProcessOptions): Promise<GatewayProcess> {
  const { settings, log } = options;
  const { logger } = log;
  const { config, warnings } = await readConfig(settings);
  for (const warning of warnings) logger.warn(formatFault(settings.configPath, warning));
  const databaseUrl = settings.databaseUrl ?? config.databaseUrl;
  const masterKey = settings.masterKey ?? config.masterKey;
  if (masterKey !== undefined && masterKey.length < shortestSafeKey) {
    logger.warn('the master key is short enough to be guessed; a safe one: sk- and 32 random characters');
  }
  if (databaseUrl === undefined && masterKey === undefined) {
    throw new StartError(
      'Nobody could sign in: there is neither a database with keys nor a master key. Set DATABASE_URL, or LITELLM_MASTER_KEY=sk-...',
      2,
    );
  }
  const tokenizers = config.routing.preCallChecks ? await loadTokenizers(encodingsOf(config.groups)) : undefined;
  let leaving = false;
  const dependencies = wireOrExplain({
    ...options,
    config,
    logger,
    version,
    isLeaving: () => leaving,
    ...(tokenizers === undefined ? {} : { tokenizers }),
  });
  try {
    await dependencies.mirror?.start();
    dependencies.cooldowns?.start();
    dependencies.housekeeping?.start();
    await dependencies.startAdmission();
    await dependencies.app.listen({ port: settings.port, host: settings.host });
  } catch (error) {
    await dependencies.app.close();
    await dependencies.outbox?.close(lastWordsMs);
    await dependencies.close();
    throw explain(error, settings, databaseUrl);
  }
  const address = dependencies.app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : settings.port;
  logger.info({ port, host: settings.host }, 'the gateway accepts requests');

  let drained: Promise<void> | undefined;
  return {
    port,
    dependencies,
    drain: () => {
      drained ??= (async () => {
        leaving = true;
        await leave(dependencies, settings, log);
      })();
      return drained;
    },
  };
}

function wireOrExplain(options: WiringOptions): Dependencies {
  try {
    return wire(options);
  } catch (error) {
    if (error instanceof OutboxUnavailable) throw new StartError(error.message, 1, error);
    throw error;
  }
}

/** Reads and checks the config file, and looks up what its models cost and take. */
export async function readConfig(settings: Settings): Promise<LoadedConfig> {
  const loaded = await parseConfig(settings);
  try {
    return await addModelFacts(loaded, settings.modelCostMap);
  } catch (error) {
    if (error instanceof CostMapError) throw new StartError(error.message, 2, error);
    throw error;
  }
}

async function parseConfig(settings: Settings): Promise<LoadedConfig> {
  let text: string;
  try {
    text = await readFile(settings.configPath, 'utf8');
  } catch (error) {
    throw new StartError(
      `The config file ${settings.configPath} cannot be read (${codeOf(error)}). Name another with --config FILE`,
      2,
      error,
    );
  }
  try {
    return loadConfig(text, {
      source: settings.configPath,
      environment: settings.environment,
      ...(settings.demoUpstreams.length === 0 ? {} : { demoUpstreams: settings.demoUpstreams }),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.message, 2, error);
    throw error;
  }
}

async function leave(dependencies: Dependencies, settings: Settings, log: Log): Promise<void> {
  const { app, inFlight, outbox } = dependencies;
  const { logger } = log;
  logger.info({ inFlight: inFlight.count }, 'draining');
  await sleep(settings.drainNoticeSeconds * 1000);
  const closed = new Promise<void>((resolve) => {
    app.server.close(() => resolve());
  });
  // A connection becomes idle when its answer is written; nobody else would close it then.
  const closer = setInterval(() => app.server.closeIdleConnections(), 50);
  const inTime = await within(closed, settings.drainDeadlineSeconds * 1000);
  if (!inTime) {
    logger.warn({ inFlight: inFlight.count }, 'the drain deadline has passed; running requests are ended');
    inFlight.abortAll(new GatewayLeaving());
    await within(closed, lastWordsMs);
    app.server.closeAllConnections();
  }
  clearInterval(closer);
  await dependencies.admission.close();
  const unshipped = await outbox?.close(drain.flushSeconds * 1000);
  if (unshipped !== undefined && unshipped > 0) {
    logger.error({ unshipped }, 'the database does not have all spend; the rest lies on disk for the next start');
  }
  await app.close();
  await dependencies.close();
  logger.info('the gateway has left');
  log.flush();
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

/** In words for the person who started it. */
function explain(error: unknown, settings: Settings, databaseUrl: string | undefined): Error {
  if (error instanceof NothingKnown) {
    return new StartError(
      `PostgreSQL at ${describeUrl(databaseUrl ?? '')} cannot be reached (${reasonOf(error.cause)}), and there is no snapshot of an earlier run in ${settings.dataDirectory} to serve from. Check DATABASE_URL and that the server runs`,
      1,
      error,
    );
  }
  const code = codeOf(error);
  if (code === 'EADDRINUSE') {
    return new StartError(
      `Port ${settings.port} is taken by another process. Choose another with --port, or end that process`,
      1,
      error,
    );
  }
  if (code === 'EACCES') {
    return new StartError(
      `Port ${settings.port} may not be used by this user. Choose one above 1023 with --port`,
      1,
      error,
    );
  }
  if (code === '42P01') {
    return new StartError(
      `The database ${describeUrl(databaseUrl ?? '')} has no tables yet. Run: holdfast migrate`,
      1,
      error,
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** What a supervisor or a person is told: known errors in one sentence, unknown ones with their stack. */
export function describeStartError(error: unknown): { message: string; exitCode: number } {
  if (error instanceof StartError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof SettingsError) return { message: error.message, exitCode: 2 };
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: 1 };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';

/** pg reports several refused addresses as one AggregateError without a message of its own. */
const reasonOf = (cause: unknown): string => {
  if (
    cause instanceof Error &&
    'cause' in cause &&
    cause.cause instanceof Error &&
    cause.message === 'the database cannot be reached'
  ) {
    return reasonOf(cause.cause);
  }
  const code = codeOf(cause);
  return code === 'unknown' ? (cause instanceof Error ? cause.message : String(cause)) : code;
};
