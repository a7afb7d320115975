/** Where configurations come from. */
import type { Variables } from './variables.ts';

/** While the gateway runs. */
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

const usualObject = 'config.yaml';
const googleStorage = 'https://storage.googleapis.com';

/** `CONFIG_SOURCE` decides; without it a bucket that is named does. A config file is then what is left when it is away. */
export function configSourceOf(variables: Variables, fault: (message: string) => void): ConfigSourceSettings {
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
