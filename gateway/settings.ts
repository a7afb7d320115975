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
  /** Undefined: an installation of one region. */
  readonly region: RegionSettings | undefined;
  /** Everything, for `os.environ/NAME` in the config file. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface RegionSettings {
  readonly name: string;
  /** Where the gateways of each region are reached from the others, without a slash at the end. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Signs what regions say to each other. */
  readonly secret: string;
  /** Undefined: the database's row alone says who writes, and an isolated primary writes on. */
  readonly claim: ClaimSettings | undefined;
}

export interface ClaimSettings {
  readonly buckets: readonly { readonly name: string; readonly region: string }[];
  readonly key: string;
  /** Other servers that speak S3: one for all buckets, or one for each. Empty = AWS. */
  readonly endpoints: readonly string[];
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

/** A list of two things each, with commas in between. */
const pairs = (form: string, second: RegExp, separator: string) =>
  z.string().transform((text, context) => {
    const entries = text.split(',').map((entry): [string, string] => {
      const [left = '', ...rest] = entry.trim().split(separator);
      return [left, rest.join(separator).replace(/\/$/, '')];
    });
    for (const [left, right] of entries) {
      if (left === '' || !second.test(right)) {
        context.addIssue({ code: 'custom', message: `must be a list of ${form}, separated by commas` });
        return z.NEVER;
      }
    }
    return new Map(entries);
  });

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
  HOLDFAST_REGION: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be a name such as us-east-1')
    .refine((name) => name !== 'local', 'must not be "local": that is the name of an installation of one region')
    .optional(),
  HOLDFAST_REGION_ADDRESSES: pairs('NAME=URL', /^https?:\/\/[^/\s]+$/, '=').optional(),
  HOLDFAST_REGION_SECRET: z.string().min(20, 'must have at least 20 characters').optional(),
  HOLDFAST_CLAIM_BUCKETS: pairs('BUCKET@REGION', /^[a-z0-9-]+$/, '@')
    .refine((buckets) => buckets.size === 1 || buckets.size === 3, 'must be one bucket or three')
    .optional(),
  HOLDFAST_CLAIM_KEY: z.string().default('claim.json'),
  HOLDFAST_CLAIM_ENDPOINT: z
    .string()
    .regex(/^https?:\/\/[^,\s]+(,https?:\/\/[^,\s]+)*$/, 'must be a URL, or one for each bucket with commas in between')
    .optional(),
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
  const faults = regionFaults(variables);
  if (faults.length > 0) throw new SettingsError(faults);
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
    region: regionSettings(variables),
    demoUpstreams: variables.HOLDFAST_DEMO_UPSTREAMS?.split(',') ?? [],
    environment,
  };
}

/** What only the variables together can have wrong. */
function regionFaults(variables: Variables): string[] {
  const { HOLDFAST_REGION: name, HOLDFAST_REGION_SECRET: secret, LITELLM_SALT_KEY: saltKey } = variables;
  const faults: string[] = [];
  const others = ['HOLDFAST_REGION_ADDRESSES', 'HOLDFAST_CLAIM_BUCKETS'] as const;
  for (const other of others) {
    if (name === undefined && variables[other] !== undefined) {
      faults.push(`HOLDFAST_REGION: must name this region, since ${other} is set`);
    }
  }
  if (name !== undefined && secret === undefined && saltKey === undefined) {
    faults.push('HOLDFAST_REGION_SECRET: must be set, to the same in all regions; or set LITELLM_SALT_KEY');
  }
  return faults;
}

function regionSettings(variables: Variables): RegionSettings | undefined {
  const { HOLDFAST_REGION: name, HOLDFAST_CLAIM_BUCKETS: buckets } = variables;
  if (name === undefined) return undefined;
  return {
    name,
    addresses: variables.HOLDFAST_REGION_ADDRESSES ?? new Map(),
    secret: variables.HOLDFAST_REGION_SECRET ?? variables.LITELLM_SALT_KEY ?? '',
    claim:
      buckets === undefined
        ? undefined
        : {
            buckets: [...buckets].map(([bucket, region]) => ({ name: bucket, region })),
            key: variables.HOLDFAST_CLAIM_KEY,
            endpoints: variables.HOLDFAST_CLAIM_ENDPOINT?.split(',') ?? [],
          },
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
