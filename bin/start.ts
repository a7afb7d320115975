/** `npm start`: everything a first request needs, on this machine, until Ctrl-C. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Supervisor, WorkerFailed } from '../gateway/cluster/supervisor.ts';
import { drain } from '../gateway/contract.ts';
import { describeRedis } from '../gateway/domain/redis-settings.ts';
import { readConfig } from '../gateway/read-config.ts';
import { readSettings, type Settings } from '../gateway/settings.ts';
import { describeStartError } from '../gateway/start-error.ts';
import { makeAdminKey } from '../gateway/stores/admin-key.ts';
import { migrate } from '../gateway/stores/migrate.ts';
import { describeUrl, isUnavailable } from '../gateway/stores/postgres.ts';
import { freePort, requirePortFree } from '../runbooks/lab/free-port.ts';
import { LauncherError } from '../runbooks/lab/launcher-error.ts';
import { startPostgres } from '../runbooks/lab/postgres.ts';
import { startUpstreamProcess } from '../runbooks/lab/upstream-launcher.ts';
import { gatewayEntry } from './gateway.ts';
import { fail, say } from './say.ts';
import { welcome } from './welcome.ts';

export interface StartOptions {
  readonly config?: string;
  readonly port?: number;
  readonly host: string;
  readonly workers: number;
  readonly data: string;
  readonly demo?: true;
  readonly newAdminKey?: true;
}

const exampleConfig = fileURLToPath(new URL('../gateway/deploy/config.yaml', import.meta.url));

/** Things that were started, to be ended newest first. */
type Cleanup = () => Promise<void>;

/** @returns the exit code, after everything that was started has ended. */
export async function start(options: StartOptions): Promise<number> {
  const cleanups: Cleanup[] = [];
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  try {
    await run(options, cleanups, interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 0;
    return explain(error);
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup();
  }
}

async function run(options: StartOptions, cleanups: Cleanup[], signal: AbortSignal): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const data = resolve(options.data);
  const environmentSettings = readSettings();
  const settings: Settings = {
    ...environmentSettings,
    configPath: options.config ?? exampleConfig,
    configIsNamed: true,
    port: options.port ?? environmentSettings.port,
    host: options.host,
    dataDirectory: data,
    logFile: join(data, 'gateway.log'),
  };
  const demo = options.demo === true || (options.config === undefined && !(await anyVariableOf(exampleConfig)));
  // A stand-in address: the real ones are known only after everything was checked.
  const { config, warnings } = await readConfig(
    demo ? { ...settings, demoUpstreams: ['http://127.0.0.1:1'] } : settings,
  );
  await requirePortFree(settings.host, settings.port);
  await mkdir(data, { recursive: true, mode: 0o700 });
  await keepPrevious(join(data, 'gateway.log'));

  const configuredUrl = settings.databaseUrl ?? config.databaseUrl;
  let databaseUrl = configuredUrl;
  if (databaseUrl === undefined) {
    const postgres = await startPostgres({ dataDirectory: join(data, 'postgres'), port: await freePort(), signal });
    cleanups.push(() => postgres.stop());
    databaseUrl = postgres.url();
  }
  const reached = await prepareDatabase(databaseUrl);
  const masterKey = settings.masterKey ?? config.masterKey;
  const adminKey =
    masterKey === undefined && reached ? await makeAdminKey(databaseUrl, options.newAdminKey === true) : undefined;

  const upstreams = demo
    ? await Promise.all(['demo upstream A', 'demo upstream B'].map((name) => startUpstreamProcess(name, data, signal)))
    : [];
  for (const upstream of upstreams) cleanups.push(() => upstream.stop());

  const supervisor = new Supervisor({
    count: options.workers,
    entry: gatewayEntry,
    environment: {
      CONFIG_FILE_PATH: settings.configPath,
      HOST: settings.host,
      PORT: String(settings.port),
      DATABASE_URL: databaseUrl,
      // Nothing stands between the gateway and the embedded server.
      ...(configuredUrl === undefined ? { DIRECT_DATABASE_URL: databaseUrl } : {}),
      HOLDFAST_DATA_DIRECTORY: data,
      HOLDFAST_LOG_FILE: settings.logFile ?? '',
      // No load balancer has to notice anything on this machine.
      HOLDFAST_DRAIN_NOTICE_SECONDS: process.env['HOLDFAST_DRAIN_NOTICE_SECONDS'] ?? '0',
      HOLDFAST_DEMO_UPSTREAMS: upstreams.map((upstream) => upstream.url).join(','),
    },
    drainSeconds: settings.drainDeadlineSeconds + drain.flushSeconds,
    onWorkerLost: ({ pid, code, signal: by }) =>
      say(`A gateway process (pid ${pid}) ended by ${by ?? `exit code ${code}`}; another takes its place.`),
    onRestartFailed: (error) => say(`A gateway process could not start again: ${error.message}`),
  });
  if (signal.aborted) return;
  cleanups.push(() => supervisor.kill());
  await supervisor.start();

  welcome({
    url: `http://${settings.host === '0.0.0.0' ? 'localhost' : settings.host}:${settings.port}`,
    pids: supervisor.pids(),
    config: options.config ?? 'gateway/deploy/config.yaml',
    models: [...config.groups.keys()],
    database: configuredUrl === undefined ? `embedded, data in ${options.data}/postgres` : describeUrl(configuredUrl),
    databaseReached: reached,
    redis: config.redis === undefined ? undefined : describeRedis(config.redis),
    upstreams,
    log: `${options.data}/gateway.log`,
    adminKey,
    masterKeyIsSet: masterKey !== undefined,
    warnings: demo ? [] : warnings,
  });
  await interrupted(signal);
  say('\nFinishing the requests that are running (Ctrl-C again ends them) ...');
  const impatient = new Promise<'again'>((again) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => again('again'));
  });
  // After an impatient second signal the cleanup kills what is left.
  await Promise.race([supervisor.drain(), impatient]);
  say('Stopped.');
}

/** Migrates. @returns false when the database cannot be reached; the gateway then decides whether it can serve without. */
async function prepareDatabase(url: string): Promise<boolean> {
  try {
    await migrate(url);
    return true;
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}

/** Whether any variable that the file names is set. */
async function anyVariableOf(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8');
  return [...text.matchAll(/os\.environ\/(\w+)/g)].some(([, name]) => (process.env[name ?? ''] ?? '') !== '');
}

async function keepPrevious(file: string): Promise<void> {
  if (existsSync(file)) await rename(file, `${file}.previous`);
}

const interrupted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });

function explain(error: unknown): number {
  if (error instanceof LauncherError) return fail(error.message, 1);
  if (error instanceof WorkerFailed) return fail(error.message, error.exitCode);
  const { message, exitCode } = describeStartError(error);
  return fail(message, exitCode);
}
