/** Where a configuration comes from: a file or an object in S3. Read only as often as it changes. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { getObject } from '../region/s3-bucket.ts';

export interface SourceText {
  readonly text: string;
  readonly sha256: string;
  /** What the source calls this version; handed back to ask for a newer one. */
  readonly etag: string;
}

export interface ConfigSource {
  /** For people: an address, never a credential. */
  readonly name: string;
  /**
   * @param knownEtag of what is known here.
   * @returns undefined when nothing newer is there. @throws when the source cannot be read.
   */
  read(knownEtag: string | undefined, signal: AbortSignal): Promise<SourceText | undefined>;
}

/** A config is text that people write: more than this is something else. */
const largestBytes = 10 * 1024 * 1024;

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

const sourceText = (text: string, etag: string): SourceText => ({ text, etag, sha256: sha256Of(text) });

/** Told apart by size, time and inode: mounted config maps are replaced as a whole, behind a link. */
export class FileSource implements ConfigSource {
  readonly name: string;
  readonly #path: string;
  readonly #isOptional: boolean;

  /** @param isOptional a file that is not there says nothing, and is no fault. */
  constructor(path: string, isOptional = false) {
    this.name = path;
    this.#path = path;
    this.#isOptional = isOptional;
  }

  async read(knownEtag: string | undefined, signal: AbortSignal): Promise<SourceText | undefined> {
    const found = await stat(this.#path).catch((error: unknown) => {
      if (this.#isOptional && error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    const { mtimeMs, size, ino } = found;
    const etag = `${ino}-${size}-${mtimeMs}`;
    if (etag === knownEtag) return undefined;
    if (size > largestBytes) throw new Error(`${this.#path} has ${size} bytes; a config has at most ${largestBytes}`);
    return sourceText(await readFile(this.#path, { encoding: 'utf8', signal }), etag);
  }
}

export class S3Source implements ConfigSource {
  readonly name: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #key: string;

  /** @param scheme of its name: `gs` for Google's objects, which are read over the same protocol. */
  constructor(client: S3Client, bucket: string, key: string, scheme: 's3' | 'gs' = 's3') {
    this.name = `${scheme}://${bucket}/${key}`;
    this.#client = client;
    this.#bucket = bucket;
    this.#key = key;
  }

  async read(knownEtag: string | undefined, signal: AbortSignal): Promise<SourceText | undefined> {
    const found = await getObject(this.#client, this.#bucket, this.#key, signal, knownEtag);
    if (found === 'unchanged') return undefined;
    if (found === undefined) throw new Error(`${this.name} does not exist`);
    if (found.body.length > largestBytes) throw new Error(`${this.name} is larger than ${largestBytes} bytes`);
    return sourceText(found.body, found.etag);
  }
}
