/**
 * The environment of a gateway process, read once. Nothing else in `gateway/` looks at `process.env`.
 * Precedence, strongest first: command line, environment, config file, default.
 */
import { z } from 'zod';
import { drain, gatewayPort, usualLockName } from './contract.ts';
import type { LogLevel } from './telemetry/log.ts';

/** Where configurations come from while the gateway runs. */
export type ConfigSourceSettings =
  | { readonly is: 'file' }
  /** Google's objects are read through its XML API, which speaks the same protocol. */
  | {
      readonly is: 's3' | 'gcs';
      readonly bucket: string;
      readonly key: string;
      readonly region: string;
      /** Undefined = AWS. */
      readonly endpoint: string | undefined;
      /** Undefined = the environment's, or the role's. */
      readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
    }
  /** Nowhere but from administrators, through the database. */
  | { readonly is: 'database' };

/** How processes agree on configurations. */
export interface HaSettings {
  /** Undefined = `leader_election` with a database, `single` without one. */
  readonly mode: 'single' | 'leader_election' | undefined;
  readonly leaseSeconds: number;
  readonly renewSeconds: number;
  readonly lockName: string;
  /** Who keeps the lease, when it is not the database. */
  readonly kubernetes: { readonly server: string; readonly accountDirectory: string } | undefined;
}

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
  /**
   * Changes and new slices of budgets are refused while every replica that could take over is farther behind; undefined =
   * they never are.
   */
  readonly refuseBeyondRpoSeconds: number | undefined;
  /** Undefined: the database's row alone says who writes, and an isolated primary writes on. */
  readonly claim: ClaimSettings | undefined;
}

export interface ClaimSettings {
  readonly buckets: readonly { readonly name: string; readonly region: string }[];
  readonly key: string;
  /** Other servers that speak S3: one for all buckets, or one for each. Empty = AWS. */
  readonly endpoints: readonly string[];
}

export interface ArchiveSettings {
  readonly bucket: string;
  readonly region: string;
  /** Undefined = AWS. */
  readonly endpoint: string | undefined;
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
const databaseAddress = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must start with postgresql://')
  .optional();
const onOff = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['true', 'false', '1', '0'], 'must be true or false'))
  .transform((value) => value === 'true' || value === '1');
const address = z.url({ protocol: /^https?$/, error: 'must be an http(s) address' }).optional();

const usualConfigPath = '/app/config/config.yaml';
const usualObject = 'config.yaml';
const googleStorage = 'https://storage.googleapis.com';

const schema = z.object({
  CONFIG_FILE_PATH: z.string().optional(),
  HOST: z.string().default('0.0.0.0'),
  PORT: port.default(gatewayPort),
  DATABASE_URL: databaseAddress,
  DIRECT_DATABASE_URL: databaseAddress,
  CONFIG_SOURCE: z.enum(['file', 's3', 'gcs', 'database'], 'must be file, s3, gcs or database').optional(),
  S3_BUCKET_NAME: z.string().optional(),
  CONFIG_S3_BUCKET: z.string().optional(),
  CONFIG_S3_KEY: z.string().optional(),
  CONFIG_S3_REGION: z.string().optional(),
  CONFIG_S3_ENDPOINT_URL: address,
  AWS_REGION: z.string().optional(),
  AWS_DEFAULT_REGION: z.string().optional(),
  AWS_ENDPOINT_URL_S3: address,
  AWS_ENDPOINT_URL: address,
  CONFIG_GCS_BUCKET: z.string().optional(),
  CONFIG_GCS_KEY: z.string().optional(),
  CONFIG_GCS_ENDPOINT_URL: address,
  CONFIG_GCS_ACCESS_KEY_ID: z.string().optional(),
  CONFIG_GCS_SECRET_ACCESS_KEY: z.string().optional(),
  CONFIG_SYNC_ENABLED: onOff.default(true),
  CONFIG_HOT_RELOAD: onOff.default(true),
  CONFIG_SYNC_INTERVAL: seconds.min(0.1, 'must be at least 0.1').max(3_600, 'must be at most 3600').default(2),
  LLMROUTER_HA_MODE: z.enum(['single', 'leader_election'], 'must be single or leader_election').optional(),
  LLMROUTER_HA_BACKEND: z.enum(['postgres', 'kubernetes'], 'must be postgres or kubernetes').default('postgres'),
  LLMROUTER_HA_LEASE_SECONDS: seconds.min(1, 'must be at least 1').optional(),
  LLMROUTER_HA_RENEW_INTERVAL_SECONDS: seconds.min(0.1, 'must be at least 0.1').optional(),
  LLMROUTER_HA_LOCK_NAME: z.string().max(200, 'has at most 200 characters').optional(),
  LLMROUTER_CONFIG_SYNC_LEASE_SECONDS: seconds.min(1, 'must be at least 1').default(30),
  LLMROUTER_CONFIG_SYNC_RENEW_INTERVAL_SECONDS: seconds.min(0.1, 'must be at least 0.1').default(10),
  LLMROUTER_CONFIG_SYNC_LOCK_NAME: z.string().max(200, 'has at most 200 characters').default(usualLockName),
  // Set by Kubernetes in every pod.
  KUBERNETES_SERVICE_HOST: z.string().optional(),
  KUBERNETES_SERVICE_PORT_HTTPS: port.default(443),
  HOLDFAST_SERVICE_ACCOUNT_DIRECTORY: z.string().default('/var/run/secrets/kubernetes.io/serviceaccount'),
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
  HOLDFAST_OUTBOX_ARCHIVE: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]@[a-z0-9-]+$/, 'must be BUCKET@REGION')
    .optional(),
  HOLDFAST_OUTBOX_ARCHIVE_ENDPOINT: address,
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
  HOLDFAST_REFUSE_BEYOND_RPO_SECONDS: seconds.min(10, 'must be at least 10').optional(),
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

/** Every variable that is read here. */
export const variableNames: readonly string[] = Object.keys(schema.shape);

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
  const configSource = configSourceOf(variables, (fault) => faults.push(fault));
  const ha = haOf(variables);
  if (ha.renewSeconds * 2 >= ha.leaseSeconds) {
    faults.push(
      `LLMROUTER_HA_RENEW_INTERVAL_SECONDS: a lease of ${ha.leaseSeconds} s that is renewed every ${ha.renewSeconds} s is lost by one late renewal; renew it at least twice within it`,
    );
  }
  if (variables.LLMROUTER_HA_BACKEND === 'kubernetes' && variables.KUBERNETES_SERVICE_HOST === undefined) {
    faults.push('LLMROUTER_HA_BACKEND: is kubernetes, and this is no pod: KUBERNETES_SERVICE_HOST is not set');
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return {
    configSource,
    configSync: variables.CONFIG_SYNC_ENABLED && variables.CONFIG_HOT_RELOAD,
    configSyncSeconds: variables.CONFIG_SYNC_INTERVAL,
    ha,
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
  const others = ['HOLDFAST_REGION_ADDRESSES', 'HOLDFAST_CLAIM_BUCKETS', 'HOLDFAST_REFUSE_BEYOND_RPO_SECONDS'] as const;
  for (const other of others) {
    if (name === undefined && variables[other] !== undefined) {
      faults.push(`HOLDFAST_REGION: must name this region, since ${other} is set`);
    }
  }
  if (name !== undefined && secret === undefined && saltKey === undefined) {
    faults.push('HOLDFAST_REGION_SECRET: must be set, to the same in all regions; or set LITELLM_SALT_KEY');
  }
  if (name !== undefined && variables.HOLDFAST_OUTBOX_ARCHIVE?.endsWith(`@${name}`) === true) {
    faults.push('HOLDFAST_OUTBOX_ARCHIVE: must lie in another region than this one: it would be lost together with it');
  }
  return faults;
}

function archiveSettings(variables: Variables): ArchiveSettings | undefined {
  const [bucket, region] = variables.HOLDFAST_OUTBOX_ARCHIVE?.split('@') ?? [];
  if (bucket === undefined || region === undefined) return undefined;
  return { bucket, region, endpoint: variables.HOLDFAST_OUTBOX_ARCHIVE_ENDPOINT };
}

function regionSettings(variables: Variables): RegionSettings | undefined {
  const { HOLDFAST_REGION: name, HOLDFAST_CLAIM_BUCKETS: buckets } = variables;
  if (name === undefined) return undefined;
  return {
    name,
    addresses: variables.HOLDFAST_REGION_ADDRESSES ?? new Map(),
    secret: variables.HOLDFAST_REGION_SECRET ?? variables.LITELLM_SALT_KEY ?? '',
    refuseBeyondRpoSeconds: variables.HOLDFAST_REFUSE_BEYOND_RPO_SECONDS,
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

const haOf = (variables: Variables): HaSettings => ({
  mode: variables.LLMROUTER_HA_MODE,
  leaseSeconds: variables.LLMROUTER_HA_LEASE_SECONDS ?? variables.LLMROUTER_CONFIG_SYNC_LEASE_SECONDS,
  renewSeconds: variables.LLMROUTER_HA_RENEW_INTERVAL_SECONDS ?? variables.LLMROUTER_CONFIG_SYNC_RENEW_INTERVAL_SECONDS,
  lockName: variables.LLMROUTER_HA_LOCK_NAME ?? variables.LLMROUTER_CONFIG_SYNC_LOCK_NAME,
  kubernetes:
    variables.LLMROUTER_HA_BACKEND === 'postgres' || variables.KUBERNETES_SERVICE_HOST === undefined
      ? undefined
      : {
          server: `https://${hostInUrl(variables.KUBERNETES_SERVICE_HOST)}:${variables.KUBERNETES_SERVICE_PORT_HTTPS}`,
          accountDirectory: variables.HOLDFAST_SERVICE_ACCOUNT_DIRECTORY,
        },
});

const hostInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** `CONFIG_SOURCE` decides; without it a bucket that is named does. A config file is then what is left when it is away. */
function configSourceOf(variables: Variables, fault: (message: string) => void): ConfigSourceSettings {
  const s3Bucket = variables.CONFIG_S3_BUCKET ?? variables.S3_BUCKET_NAME;
  const gcsBucket = variables.CONFIG_GCS_BUCKET;
  const kind =
    variables.CONFIG_SOURCE ??
    (variables.CONFIG_S3_BUCKET !== undefined ? 's3' : gcsBucket !== undefined ? 'gcs' : 'file');
  if (kind === 'file' || kind === 'database') return { is: kind };
  if (kind === 's3') {
    if (s3Bucket === undefined) fault('CONFIG_S3_BUCKET: is missing, and CONFIG_SOURCE is s3; name the bucket');
    return {
      is: 's3',
      bucket: s3Bucket ?? '',
      key: variables.CONFIG_S3_KEY ?? usualObject,
      region: variables.CONFIG_S3_REGION ?? variables.AWS_REGION ?? variables.AWS_DEFAULT_REGION ?? 'us-east-1',
      endpoint: variables.CONFIG_S3_ENDPOINT_URL ?? variables.AWS_ENDPOINT_URL_S3 ?? variables.AWS_ENDPOINT_URL,
      credentials: undefined,
    };
  }
  const { CONFIG_GCS_ACCESS_KEY_ID: accessKeyId, CONFIG_GCS_SECRET_ACCESS_KEY: secretAccessKey } = variables;
  if (gcsBucket === undefined) fault('CONFIG_GCS_BUCKET: is missing, and CONFIG_SOURCE is gcs; name the bucket');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    fault(
      'CONFIG_GCS_ACCESS_KEY_ID and CONFIG_GCS_SECRET_ACCESS_KEY: are missing; make an HMAC key of a service account that may read the bucket',
    );
  }
  return {
    is: 'gcs',
    bucket: gcsBucket ?? '',
    key: variables.CONFIG_GCS_KEY ?? usualObject,
    region: 'auto',
    endpoint: variables.CONFIG_GCS_ENDPOINT_URL ?? googleStorage,
    credentials: { accessKeyId: accessKeyId ?? '', secretAccessKey: secretAccessKey ?? '' },
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
