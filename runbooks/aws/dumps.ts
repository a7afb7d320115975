/** Dumps in the buckets of the regions: the newest, or one by its name; and their bytes, in pieces. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, S3ServiceException } from '@aws-sdk/client-s3';
import { bucketName, objectKeys } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { Backup } from '../books/backup-world.ts';
import { messageOf, orAborted } from '../engine/look.ts';
import { type AwsClients, isNamed } from './clients.ts';

/** Where dumps of a region lie. */
export interface DumpFolder {
  readonly region: string;
  readonly bucket: string;
  /** What their keys begin with. */
  readonly folder: string;
}

export const dumpFolders = (platform: Platform): readonly DumpFolder[] =>
  platform.regions.map((place) => ({
    region: place.region,
    bucket: bucketName(platform, place, 'backup'),
    folder: objectKeys.databaseDumps,
  }));

export interface StoredDump {
  readonly region: string;
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  /** Tells it from what replaces it under the same name. */
  readonly etag: string;
  readonly storedAt: Date;
}

/**
 * In the region's own bucket, where the copies of all regions arrive; in another one's when that has none or is gone.
 * @param newestIn rejects when the bucket cannot be asked.
 */
export async function newestDump(
  places: readonly DumpFolder[],
  region: string,
  newestIn: (place: DumpFolder) => Promise<Backup | undefined>,
): Promise<Backup | undefined> {
  const own = places.find((place) => place.region === region);
  const here = own && (await newestIn(own).catch(noneWithoutBucket));
  if (here !== undefined) return here;
  const others = places.filter((place) => place !== own);
  const elsewhere = await Promise.allSettled(others.map(newestIn));
  const found = elsewhere.flatMap((one) => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : []));
  return found.toSorted((one, other) => one.ageSeconds - other.ageSeconds)[0];
}

function noneWithoutBucket(error: unknown): undefined {
  if (!isNamed(error, 'NoSuchBucket')) throw error;
}

/** @param id `s3://BUCKET/KEY`. @returns undefined when there is none of this name in any of these places. */
export async function storedDump(
  clients: AwsClients,
  id: string,
  places: readonly DumpFolder[],
  abortSignal: AbortSignal,
): Promise<StoredDump | undefined> {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/(.+)$/.exec(id) ?? [];
  const place = places.find((one) => one.bucket === bucket && key.startsWith(one.folder));
  if (place === undefined) return undefined;
  const { region } = place;
  try {
    const head = await clients.s3(region).send(new HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
    const { ContentLength: bytes = 0, ETag: etag, LastModified: storedAt } = head;
    if (bytes === 0 || etag === undefined || storedAt === undefined) return undefined;
    return { region, bucket, key, bytes, etag, storedAt };
  } catch (error) {
    if (isNamed(error, 'NotFound', 'NoSuchKey', 'NoSuchBucket')) return undefined;
    throw error;
  }
}

const pieceBytes = 8 * 1024 * 1024;
/** 70 KiB a second: slower is no way to load a database. */
const piecePatienceMs = 120_000;
const triesOfPiece = 6;
const firstPauseMs = 500;

/**
 * A database takes hours to load, longer than a connection to S3 stays open unread: each piece is asked for when it is needed,
 * and again when its connection breaks.
 * @throws when the dump was replaced meanwhile, or S3 stays away.
 */
export async function* piecesOf(
  clients: AwsClients,
  dump: StoredDump,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < dump.bytes; from += pieceBytes) {
    const length = Math.min(pieceBytes, dump.bytes - from);
    yield await piece(clients, dump, from, length, signal);
    onRead(from + length);
  }
}

async function piece(
  clients: AwsClients,
  dump: StoredDump,
  from: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (let tries = 1; ; tries++) {
    try {
      const bytes = await ask(clients, dump, from, length, signal);
      if (bytes.length === length) return bytes;
      throw new Error(`S3 gave ${bytes.length} bytes of ${length}`);
    } catch (error) {
      signal.throwIfAborted();
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status === 412)
        throw new Error(`s3://${dump.bucket}/${dump.key} was replaced while it was read: resume`, { cause: error });
      if ((status !== undefined && status < 500) || tries === triesOfPiece) {
        throw new Error(`s3://${dump.bucket}/${dump.key} cannot be read: ${messageOf(error)}`, { cause: error });
      }
      await sleep(firstPauseMs * 2 ** tries, undefined, { signal });
    }
  }
}

async function ask(
  clients: AwsClients,
  { region, bucket: Bucket, key: Key, etag: IfMatch }: StoredDump,
  from: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(piecePatienceMs)]);
  const Range = `bytes=${from}-${from + length - 1}`;
  const { Body: body } = await clients
    .s3(region)
    .send(new GetObjectCommand({ Bucket, Key, IfMatch, Range }), { abortSignal });
  if (body === undefined) throw new Error('S3 gave no bytes');
  try {
    return await orAborted(body.transformToByteArray(), abortSignal);
  } finally {
    // One that is given up goes on filling memory otherwise.
    if (body instanceof Readable) body.destroy();
  }
}
