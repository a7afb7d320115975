/**
 * What a gateway knew last, on disk, so that it starts and serves known keys while the database is away. Signed: a file
 * that somebody edited would otherwise be a way to make keys.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Kind, kinds, recordSchemas } from '../domain/identity.ts';
import type { Content } from './identity-memory.ts';

const contentSchema = z.object({
  savedAtMs: z.number(),
  content: z.object({
    budget: z.array(recordSchemas.budget),
    organization: z.array(recordSchemas.organization),
    user: z.array(recordSchemas.user),
    team: z.array(recordSchemas.team),
    member: z.array(recordSchemas.member),
    endUser: z.array(recordSchemas.endUser),
    key: z.array(recordSchemas.key),
  }),
  whole: z.array(z.enum(kinds)),
});
/** What the version before wrote: keys alone, which belonged to nothing. */
const firstVersionSchema = z.object({
  savedAtMs: z.number(),
  keys: z.array(
    z.object({
      keyHash: z.string(),
      keyAlias: z.string().optional(),
      role: z.enum(['admin', 'caller']),
      models: z.array(z.string()),
      blocked: z.boolean(),
      expiresAtMs: z.number().optional(),
    }),
  ),
});
const fileSchema = z.object({
  version: z.union([z.literal(1), z.literal(2)]),
  signature: z.string(),
  content: z.string(),
});

export interface Snapshot {
  readonly savedAtMs: number;
  readonly content: Content;
  /** Kinds of which everything that existed is in it. */
  readonly whole: readonly Kind[];
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
    const { version, content } = file.data;
    const expected = Buffer.from(await this.#sign(signed(version, content)));
    const given = Buffer.from(file.data.signature);
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
    return version === 1 ? fromFirstVersion(parse(content)) : fromContent(parse(content));
  }

  /** Replaces the file as a whole: a kill in the middle leaves the old one. */
  async save(snapshot: Snapshot): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const content = JSON.stringify(snapshot);
    const file = JSON.stringify({ version: 2, signature: await this.#sign(signed(2, content)), content });
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

/** The version is signed, too, but for the first one: its form does not say so. */
const signed = (version: 1 | 2, content: string): string => (version === 1 ? content : `${version}:${content}`);

function fromContent(value: unknown): Snapshot | undefined {
  const read = contentSchema.safeParse(value);
  return read.success ? read.data : undefined;
}

function fromFirstVersion(value: unknown): Snapshot | undefined {
  const read = firstVersionSchema.safeParse(value);
  if (!read.success) return undefined;
  const key = read.data.keys.map((known) => ({
    ...known,
    keyId: known.keyHash,
    keyName: 'sk-...',
    limits: {},
    rules: {},
    revision: 0,
    deleted: false,
  }));
  const none = { budget: [], organization: [], user: [], team: [], member: [], endUser: [] };
  return { savedAtMs: read.data.savedAtMs, content: { ...none, key }, whole: [] };
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
