/**
 * The environment of a gateway process, read once. Nothing else in `gateway/` looks at `process.env`.
 * Precedence, strongest first: command line, environment, config file, default.
 */
import { type ConfigSourceSettings, configSourceOf } from './settings/config-source.ts';
import { type HaSettings, haFaults, haOf } from './settings/high-availability.ts';
import {
  type ArchiveSettings,
  archiveSettings,
  type RegionSettings,
  regionFaults,
  regionSettings,
} from './settings/region.ts';
import { type Variables, variablesSchema } from './settings/variables.ts';
import type { LogLevel } from './telemetry/log.ts';

export interface Settings {
  readonly configSource: ConfigSourceSettings;
  /** False: what a gateway started with, it keeps. */
  readonly configSync: boolean;
  readonly configSyncSeconds: number;
  readonly ha: HaSettings;
  /** For LISTEN, which needs a connection of its own to the server itself; undefined = changes are only polled for. */
  readonly directDatabaseUrl: string | undefined;
  readonly configPath: string;
  /** Whether somebody named it; a file at the usual place may be missing. */
  readonly configIsNamed: boolean;
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string | undefined;
  readonly masterKey: string | undefined;
  /** File with prices and limits of models; goes before the config's. */
  readonly modelCostMap: string | undefined;
  /** Signs the snapshot; without it a random key is kept beside it. */
  readonly saltKey: string | undefined;
  /** What must survive a restart: the snapshot of known keys, and spend that the database does not have. */
  readonly dataDirectory: string;
  /** Stronger than the config's. */
  readonly outboxMaxBytes: number | undefined;
  readonly outboxRetainSeconds: number | undefined;
  /** Where segments of spend are kept as long as backups: a bucket in another region. */
  readonly outboxArchive: ArchiveSettings | undefined;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
  readonly drainNoticeSeconds: number;
  readonly drainDeadlineSeconds: number;
  /** Addresses that answer for every deployment: the demo. */
  readonly demoUpstreams: readonly string[];
  /** Name and digest, or tag, of the image that this process runs in, for its health page. */
  readonly image: string | undefined;
  /** Processes to divide limits by until the database has said how many live; stronger than the config's. */
  readonly expectedReplicas: number | undefined;
  readonly rateWindowSeconds: number;
  /** Slots of parallel requests come back when their holder was not heard for so long. */
  readonly slotExpirySeconds: number;
  /** Number of this process among the workers of a supervisor; 0 when it is alone. */
  readonly workerIndex: number;
  /** Undefined: an installation of one region. */
  readonly region: RegionSettings | undefined;
  /** Everything, for `os.environ/NAME` in the config file. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Variables that cannot be used; names each, its fault and the mend, and never a value that may be secret. */
export class SettingsError extends Error {
  constructor(faults: readonly string[]) {
    super(
      `The environment has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.name = 'SettingsError';
  }
}

const usualConfigPath = '/app/config/config.yaml';

/** @throws SettingsError with every fault at once. */
export function readSettings(environment: Readonly<Record<string, string | undefined>> = process.env): Settings {
  // An empty variable is one that somebody left blank, not a value.
  const stated = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = variablesSchema.safeParse(stated);
  if (!parsed.success) {
    throw new SettingsError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const variables = parsed.data;
  const faults = [...regionFaults(variables), ...haFaults(variables)];
  const configSource = configSourceOf(variables, (fault) => faults.push(fault));
  if (faults.length > 0) throw new SettingsError(faults);
  return {
    configSource,
    configSync: variables.CONFIG_SYNC_ENABLED && variables.CONFIG_HOT_RELOAD,
    configSyncSeconds: variables.CONFIG_SYNC_INTERVAL,
    ha: haOf(variables),
    directDatabaseUrl: variables.DIRECT_DATABASE_URL,
    configPath: variables.CONFIG_FILE_PATH ?? usualConfigPath,
    configIsNamed: variables.CONFIG_FILE_PATH !== undefined,
    host: variables.HOST,
    port: variables.PORT,
    databaseUrl: variables.DATABASE_URL ?? databaseUrl(variables),
    masterKey: variables.LITELLM_MASTER_KEY,
    modelCostMap: variables.HOLDFAST_MODEL_COST_MAP,
    saltKey: variables.LITELLM_SALT_KEY,
    dataDirectory: variables.HOLDFAST_DATA_DIRECTORY,
    outboxMaxBytes: variables.HOLDFAST_OUTBOX_MAX_BYTES,
    outboxRetainSeconds: variables.HOLDFAST_OUTBOX_RETAIN_SECONDS,
    outboxArchive: archiveSettings(variables),
    logLevel: variables.LITELLM_LOG,
    logFile: variables.HOLDFAST_LOG_FILE,
    drainNoticeSeconds: variables.HOLDFAST_DRAIN_NOTICE_SECONDS,
    drainDeadlineSeconds: variables.HOLDFAST_DRAIN_DEADLINE_SECONDS,
    image: variables.HOLDFAST_IMAGE,
    expectedReplicas: variables.HOLDFAST_EXPECTED_REPLICAS,
    rateWindowSeconds: variables.LITELLM_RATE_LIMIT_WINDOW_SIZE,
    slotExpirySeconds: variables.HOLDFAST_SLOT_EXPIRY_SECONDS,
    workerIndex: variables.HOLDFAST_WORKER,
    region: regionSettings(variables),
    demoUpstreams: variables.HOLDFAST_DEMO_UPSTREAMS?.split(',') ?? [],
    environment,
  };
}

/** From the separate variables of compose files; any of host, user or database says that one is meant. */
function databaseUrl(variables: Variables): string | undefined {
  const { POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = variables;
  if (POSTGRES_HOST === undefined && POSTGRES_USER === undefined && POSTGRES_DB === undefined) return undefined;
  const url = new URL('postgresql://localhost');
  url.hostname = POSTGRES_HOST ?? 'localhost';
  url.port = String(POSTGRES_PORT ?? 5432);
  url.username = encodeURIComponent(POSTGRES_USER ?? 'postgres');
  url.password = encodeURIComponent(POSTGRES_PASSWORD ?? '');
  url.pathname = `/${encodeURIComponent(POSTGRES_DB ?? POSTGRES_USER ?? 'postgres')}`;
  return url.href;
}
