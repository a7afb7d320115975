/**
 * Objects in one S3 bucket, read with their ETag and written by compare-and-swap. Every call is bounded and tried once:
 * what is in doubt is read again by the caller, who knows what the doubt means.
 */
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { type Claim, claimSchema } from './claim.ts';
import type { ClaimBucket, InBucket } from './claim-store.ts';

export interface S3Access {
  readonly region: string;
  /** Another server that speaks S3; paths name the bucket then. */
  readonly endpoint?: string;
  /** Undefined = the environment's, or the role's. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Of one call; 2 s unless given. */
  readonly requestTimeoutMs?: number;
}

const connectTimeoutMs = 1_000;
const usualRequestTimeoutMs = 2_000;

export const openS3 = ({
  region,
  endpoint,
  credentials,
  requestTimeoutMs = usualRequestTimeoutMs,
}: S3Access): S3Client =>
  new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
    maxAttempts: 1,
    // The default adds checksums as trailers, which other servers do not take.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
  });

/**
 * @returns undefined when there is no such object, `unchanged` when it is still the one that `knownEtag` names.
 * @throws when it cannot be read; a bucket that does not exist is a fault, and not a place without objects.
 */
export async function getObject(
  client: S3Client,
  bucket: string,
  key: string,
  signal: AbortSignal,
  knownEtag?: string,
): Promise<{ body: string; etag: string } | 'unchanged' | undefined> {
  try {
    const { Body, ETag = '' } = await client.send(
      new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(knownEtag === undefined ? {} : { IfNoneMatch: knownEtag }),
      }),
      { abortSignal: signal },
    );
    return { body: (await Body?.transformToString()) ?? '', etag: ETag };
  } catch (error) {
    if (isBucketMissing(error)) throw new Error(`there is no bucket ${bucket}`, { cause: error });
    if (statusOf(error) === 404) return undefined;
    if (statusOf(error) === 304) return 'unchanged';
    throw error;
  }
}

/**
 * @param etag of the object that is replaced; undefined = there must be none.
 * @returns false when the object is another one by now.
 */
export async function swapObject(
  client: S3Client,
  bucket: string,
  key: string,
  etag: string | undefined,
  body: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ContentType: 'application/json',
        ...(etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag }),
      }),
      { abortSignal: signal },
    );
    return true;
  } catch (error) {
    if (isBucketMissing(error)) throw new Error(`there is no bucket ${bucket}`, { cause: error });
    // 412: another one is there. 409: another write was under way. 404: it was deleted.
    if ([404, 409, 412].includes(statusOf(error))) return false;
    throw error;
  }
}

const isBucketMissing = (error: unknown): boolean => error instanceof Error && error.name === 'NoSuchBucket';

const statusOf = (error: unknown): number => {
  if (!(error instanceof Error) || !('$metadata' in error)) return 0;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return 0;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0;
};

export class S3ClaimBucket implements ClaimBucket {
  readonly name: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #key: string;

  constructor(client: S3Client, bucket: string, key: string) {
    this.name = bucket;
    this.#client = client;
    this.#bucket = bucket;
    this.#key = key;
  }

  async read(signal: AbortSignal): Promise<InBucket> {
    const found = await getObject(this.#client, this.#bucket, this.#key, signal);
    if (found === undefined || found === 'unchanged') return { claim: undefined, etag: undefined };
    // An object that nobody understands is no claim, and it must not be overwritten as if there were none.
    return { claim: claimSchema.parse(JSON.parse(found.body)), etag: found.etag };
  }

  swap(etag: string | undefined, claim: Claim, signal: AbortSignal): Promise<boolean> {
    return swapObject(this.#client, this.#bucket, this.#key, etag, JSON.stringify(claim), signal);
  }
}
