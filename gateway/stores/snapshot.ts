/**
 * What a gateway knew last, on disk, so that it starts and serves known keys while the database is away. Signed: a file
 * that somebody edited would otherwise be a way to make keys.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Kind, kinds, recordSchemas } from '../domain/identity.ts';
import type { Content } from './identity-memory.ts';
import { ownKey, readIfThere, replaceFile } from './own-key.ts';

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
    const content = JSON.stringify(snapshot);
    const file = JSON.stringify({ version: 2, signature: await this.#sign(signed(2, content)), content });
    await replaceFile(this.#directory, 'snapshot.json', file);
  }

  async #sign(content: string): Promise<string> {
    return createHmac('sha256', this.#secret ?? (await ownKey(this.#directory, 'snapshot.key')))
      .update(content)
      .digest('hex');
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
