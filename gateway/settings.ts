/**
 * The environment of a gateway process, read once. Nothing else in `gateway/` looks at `process.env`.
 * Precedence, strongest first: command line, environment, config file, default.
 */
import { z } from 'zod';
import { drain, gatewayPort } from './contract.ts';
import type { LogLevel } from './telemetry/log.ts';

export interface Settings {
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
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
  readonly drainNoticeSeconds: number;
  readonly drainDeadlineSeconds: number;
  /** Addresses that answer for every deployment: the demo. */
  readonly demoUpstreams: readonly string[];
  /** Processes to divide limits by until the database has said how many live; stronger than the config's. */
  readonly expectedReplicas: number | undefined;
  readonly rateWindowSeconds: number;
  /** Slots of parallel requests come back when their holder was not heard for so long. */
  readonly slotExpirySeconds: number;
  /** Number of this process among the workers of a supervisor; 0 when it is alone. */
  readonly workerIndex: number;
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

const port = z.coerce
  .number('must be a port number')
  .int('must be a port number')
  .min(1, 'must be 1 to 65535')
  .max(65_535, 'must be 1 to 65535');
const seconds = z.coerce.number('must be a number of seconds').min(0, 'must not be negative');

const usualConfigPath = '/app/config/config.yaml';

const schema = z.object({
  CONFIG_FILE_PATH: z.string().optional(),
  HOST: z.string().default('0.0.0.0'),
  PORT: port.default(gatewayPort),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgresql://')
    .optional(),
  POSTGRES_HOST: z.string().optional(),
  POSTGRES_PORT: port.optional(),
  POSTGRES_USER: z.string().optional(),
  POSTGRES_PASSWORD: z.string().optional(),
  POSTGRES_DB: z.string().optional(),
  // Checked here, with everything else that is wrong; used by the configuration, which may name Redis, too.
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
    .optional(),
  REDIS_PORT: port.optional(),
  LITELLM_MASTER_KEY: z.string().startsWith('sk-', 'must start with sk-').min(4, 'is too short').optional(),
  LITELLM_SALT_KEY: z.string().min(8, 'is too short').optional(),
  LITELLM_LOG: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['debug', 'info', 'warn', 'error', 'silent'], 'must be DEBUG, INFO, WARN, ERROR or SILENT'))
    .default('info'),
  HOLDFAST_LOG_FILE: z.string().optional(),
  HOLDFAST_MODEL_COST_MAP: z.string().optional(),
  HOLDFAST_DATA_DIRECTORY: z.string().default('.holdfast'),
  HOLDFAST_OUTBOX_MAX_BYTES: z.coerce
    .number('must be a number of bytes')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .optional(),
  HOLDFAST_OUTBOX_RETAIN_SECONDS: seconds.optional(),
  HOLDFAST_DRAIN_NOTICE_SECONDS: seconds.default(drain.noticeSeconds),
  HOLDFAST_DRAIN_DEADLINE_SECONDS: seconds.default(drain.deadlineSeconds),
  HOLDFAST_DEMO_UPSTREAMS: z.string().optional(),
  HOLDFAST_EXPECTED_REPLICAS: z.coerce.number().int('must be a whole number').min(1, 'must be at least 1').optional(),
  LITELLM_RATE_LIMIT_WINDOW_SIZE: seconds.min(1, 'must be at least 1').default(60),
  HOLDFAST_SLOT_EXPIRY_SECONDS: seconds.min(1, 'must be at least 1').default(15),
  /** Set by the supervisor. */
  HOLDFAST_WORKER: z.coerce.number().int().min(0).default(0),
});

type Variables = z.output<typeof schema>;

/** @throws SettingsError with every fault at once. */
export function readSettings(environment: Readonly<Record<string, string | undefined>> = process.env): Settings {
  // An empty variable is one that somebody left blank, not a value.
  const stated = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(stated);
  if (!parsed.success) {
    throw new SettingsError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const variables = parsed.data;
  return {
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
    logLevel: variables.LITELLM_LOG,
    logFile: variables.HOLDFAST_LOG_FILE,
    drainNoticeSeconds: variables.HOLDFAST_DRAIN_NOTICE_SECONDS,
    drainDeadlineSeconds: variables.HOLDFAST_DRAIN_DEADLINE_SECONDS,
    expectedReplicas: variables.HOLDFAST_EXPECTED_REPLICAS,
    rateWindowSeconds: variables.LITELLM_RATE_LIMIT_WINDOW_SIZE,
    slotExpirySeconds: variables.HOLDFAST_SLOT_EXPIRY_SECONDS,
    workerIndex: variables.HOLDFAST_WORKER,
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
