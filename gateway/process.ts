/** One gateway process: start, serve, drain. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppOptions } from './app.ts';
import { type BuiltInConfig, builtInConfig, providerKeyVariables } from './config/built-in.ts';
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
  const { config, warnings, builtIn } = await readConfig(settings);
  if (builtIn !== undefined)
    logger.info({ serves: builtIn.serves }, 'no config file: serving what the environment has keys for');
  for (const warning of warnings) logger.warn(formatFault(settings.configPath, warning));
  const databaseUrl = settings.databaseUrl ?? config.databaseUrl;
  const masterKey = settings.masterKey ?? config.masterKey;
  if (masterKey !== undefined && masterKey.length < shortestSafeKey) {
    logger.warn('the master key is short enough to be guessed; a safe one: sk- and 32 random characters');
  }
  checkWhoMaySignIn(databaseUrl !== undefined, masterKey !== undefined, config.allowUnauthenticated);
  if (config.allowUnauthenticated) {
    logger.warn(
      { host: settings.host, port: settings.port },
      'NO KEYS: whoever reaches this port uses your providers at your expense (general_settings.allow_unauthenticated)',
    );
  }
  if (databaseUrl === undefined) {
    logger.warn('no database: no virtual keys, no spend rows; set DATABASE_URL to have them');
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
    dependencies.startCache();
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

/** @throws StartError for a gateway that nobody could use, or that says two things about keys. */
function checkWhoMaySignIn(hasDatabase: boolean, hasMasterKey: boolean, allowUnauthenticated: boolean): void {
  if (allowUnauthenticated && (hasDatabase || hasMasterKey)) {
    throw new StartError(
      `general_settings.allow_unauthenticated is true, and there is a ${hasMasterKey ? 'master key' : 'database with keys'}, which would protect nothing. Remove one of them`,
      2,
    );
  }
  if (hasDatabase || hasMasterKey || allowUnauthenticated) return;
  throw new StartError(
    'Nobody could sign in: there is neither a database with keys nor a master key. Set DATABASE_URL, or LITELLM_MASTER_KEY=sk-...; to serve without keys, write general_settings: {allow_unauthenticated: true}',
    2,
  );
}

export interface ReadConfig extends LoadedConfig {
  /** Without a file, what the keys in the environment stand for. */
  readonly builtIn: BuiltInConfig | undefined;
}

/** Reads and checks the config file, and looks up what its models cost and take. */
export async function readConfig(settings: Settings): Promise<ReadConfig> {
  const loaded = await parseConfig(settings);
  try {
    return { ...(await addModelFacts(loaded, settings.modelCostMap)), builtIn: loaded.builtIn };
  } catch (error) {
    if (error instanceof CostMapError) throw new StartError(error.message, 2, error);
    throw error;
  }
}

async function parseConfig(settings: Settings): Promise<ReadConfig> {
  let text: string;
  try {
    text = await readFile(settings.configPath, 'utf8');
  } catch (error) {
    const builtIn = withoutFile(settings, codeOf(error));
    if (builtIn !== undefined) {
      const loaded = loadConfig(builtIn.text, { source: 'built-in', environment: settings.environment });
      return { ...loaded, builtIn };
    }
    throw new StartError(
      `The config file ${settings.configPath} cannot be read (${codeOf(error)}). Name another with --config FILE`,
      2,
      error,
    );
  }
  try {
    const loaded = loadConfig(text, {
      source: settings.configPath,
      environment: settings.environment,
      ...(settings.demoUpstreams.length === 0 ? {} : { demoUpstreams: settings.demoUpstreams }),
    });
    return { ...loaded, builtIn: undefined };
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.message, 2, error);
    throw error;
  }
}

/**
 * @param code why the file could not be read.
 * @throws StartError when there is neither a file nor a key.
 */
export function withoutFile(settings: Settings, code: string): BuiltInConfig | undefined {
  if (settings.configIsNamed || code !== 'ENOENT') return undefined;
  const builtIn = builtInConfig(settings.environment);
  if (builtIn !== undefined) return builtIn;
  throw new StartError(
    `There is nothing to serve: no config file at ${settings.configPath}, and no provider's key in the environment. Name a file with --config FILE or CONFIG_FILE_PATH, or set one of ${providerKeyVariables.join(', ')}`,
    2,
  );
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
