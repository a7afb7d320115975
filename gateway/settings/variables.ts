/** Every variable that a gateway reads, each with its form; an empty one is one that somebody left blank. */
import { z } from 'zod';
import { drain, gatewayPort, imageVariable, usualLockName } from '../contract.ts';

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

export const variablesSchema = z.object({
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
  [imageVariable]: z
    .string()
    // The page that shows it needs no key, and a registry's name may hold an account.
    .regex(/^[\w.-]+[:@][\w.:-]+$/, 'must be NAME:TAG or NAME@DIGEST, without the registry')
    .optional(),
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

export type Variables = z.output<typeof variablesSchema>;

/** Every variable that is read here. */
export const variableNames: readonly string[] = Object.keys(variablesSchema.shape);
