/** Segments of spend in a bucket: put, read back and compared; and read again by a restore. */
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { SegmentArchive } from '../domain/spend.ts';
import { openS3, type S3Access } from '../region/s3-bucket.ts';

export interface SpendArchiveOptions {
  readonly bucket: string;
  /** Of the bucket. */
  readonly region: string;
  readonly endpoint?: string | undefined;
  /** Region that the spend comes from; `local` where there is one. */
  readonly from: string;
  /** Undefined = the environment's, or the role's. */
  readonly credentials?: S3Access['credentials'];
}

/** Of an upload of 16 MiB to another continent. */
const requestTimeoutMs = 30_000;
const folder = 'spend';

export class SpendArchive implements SegmentArchive {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ bucket, region, endpoint, from, credentials }: SpendArchiveOptions) {
    this.#client = openS3({
      region,
      requestTimeoutMs,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
    this.#bucket = bucket;
    this.#prefix = `${folder}/${from}/`;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const place = { Bucket: this.#bucket, Key: `${this.#prefix}${name}` };
    const put = new PutObjectCommand({ ...place, Body: bytes, ContentType: 'application/octet-stream' });
    await this.#client.send(put, { abortSignal: AbortSignal.timeout(requestTimeoutMs) });
    const found = await this.get(name);
    if (found === undefined || Buffer.compare(found, bytes) !== 0) {
      throw new Error(`what lies at s3://${place.Bucket}/${place.Key} is not what was put there`);
    }
  }

  /** @returns undefined when there is no such object. */
  async get(name: string): Promise<Uint8Array | undefined> {
    try {
      const { Body } = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: `${this.#prefix}${name}` }),
        { abortSignal: AbortSignal.timeout(requestTimeoutMs) },
      );
      return await Body?.transformToByteArray();
    } catch (error) {
      if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  /** Names of everything that came from the region, in order; those of one log stand together. */
  async *names(): AsyncGenerator<string> {
    for (let token: string | undefined; ; ) {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
        { abortSignal: AbortSignal.timeout(requestTimeoutMs) },
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key.slice(this.#prefix.length);
      token = page.NextContinuationToken;
      if (token === undefined) return;
    }
  }

  close(): void {
    this.#client.destroy();
  }
}
