/**
 * What a gateway knew last, on disk, so that it starts and serves known keys while the database is away. Signed: a file
 * that somebody edited would otherwise be a way to make keys.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { KeyRecord } from '../domain/keys.ts';

const keySchema = z.object({
  keyHash: z.string(),
  keyAlias: z.string().optional(),
  role: z.enum(['admin', 'caller']),
  models: z.array(z.string()),
  blocked: z.boolean(),
  expiresAtMs: z.number().optional(),
});
const contentSchema = z.object({ savedAtMs: z.number(), keys: z.array(keySchema) });
const fileSchema = z.object({ version: z.literal(1), signature: z.string(), content: z.string() });

export interface Snapshot {
  readonly savedAtMs: number;
  readonly keys: readonly KeyRecord[];
}

export class SnapshotFile {
  readonly #directory: string;
  readonly #secret: string | undefined;

  /** @param secret signs the file; without one a random key is kept beside it, readable by this user alone. */
  constructor(directory: string, secret: string | undefined) {
    this.#directory = directory;
    this.#secret = secret;
  }

  /** @returns undefined when there is none, or when it is not one that this installation wrote. */
  async load(): Promise<Snapshot | undefined> {
    const text = await readIfThere(join(this.#directory, 'snapshot.json'));
    if (text === undefined) return undefined;
    const file = fileSchema.safeParse(parse(text));
    if (!file.success) return undefined;
    const expected = Buffer.from(await this.#sign(file.data.content));
    const given = Buffer.from(file.data.signature);
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
    const content = contentSchema.safeParse(parse(file.data.content));
    if (!content.success) return undefined;
    const keys = content.data.keys.map((key) => ({ ...key, keyAlias: key.keyAlias, expiresAtMs: key.expiresAtMs }));
    return { savedAtMs: content.data.savedAtMs, keys };
  }

  /** Replaces the file as a whole: a kill in the middle leaves the old one. */
  async save(snapshot: Snapshot): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const content = JSON.stringify(snapshot);
    const file = JSON.stringify({ version: 1, signature: await this.#sign(content), content });
    // Random, since containers that share a volume all have process 1.
    const temporary = join(this.#directory, `snapshot.${randomBytes(4).toString('hex')}.tmp`);
    await writeFile(temporary, file, { mode: 0o600, flush: true });
    await rename(temporary, join(this.#directory, 'snapshot.json'));
  }

  async #sign(content: string): Promise<string> {
    return createHmac('sha256', this.#secret ?? (await this.#ownKey()))
      .update(content)
      .digest('hex');
  }

  async #ownKey(): Promise<string> {
    const path = join(this.#directory, 'snapshot.key');
    const known = await readIfThere(path);
    if (isKey(known)) return known;
    // Whole before it has its name: of several workers that start at once, one names its key and the others read that.
    const temporary = join(this.#directory, `snapshot.key.${randomBytes(4).toString('hex')}.tmp`);
    await writeFile(temporary, randomBytes(32).toString('hex'), { mode: 0o600, flush: true });
    // An empty or cut key would sign with something that anybody can guess, so it is replaced.
    if (known !== undefined) await rename(temporary, path);
    else {
      await link(temporary, path).catch(ignoreExisting);
      await unlink(temporary);
    }
    return readFile(path, 'utf8');
  }
}

const isKey = (text: string | undefined): text is string => text !== undefined && /^[0-9a-f]{64}$/.test(text);

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function ignoreExisting(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
