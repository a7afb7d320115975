/** An entry as bytes and back. What cannot be read, or is not what was asked for, is no entry. */
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { CacheEntry } from '../domain/answer-cache.ts';

/** Marks the bytes as ours, with the version of their form. */
const magic = Buffer.from('HFc1');
const prefixBytes = magic.length + 4;

const count = z.int().min(0);
const headSchema = z.object({
  key: z.string(),
  kind: z.enum(['whole', 'stream']),
  contentType: z.string(),
  native: z.literal(true).optional(),
  usage: z
    .object({
      promptTokens: count,
      completionTokens: count,
      cachedPromptTokens: count.exactOptional(),
      cacheWriteTokens: count.exactOptional(),
      hourCacheWriteTokens: count.exactOptional(),
      audioPromptTokens: count.exactOptional(),
      reasoningTokens: count.exactOptional(),
      audioCompletionTokens: count.exactOptional(),
    })
    .optional(),
  deploymentId: z.string(),
  storedAtMs: z.number(),
  expiresAtMs: z.number(),
  bodyBytes: count,
  bodyCrc: count,
});

/** Magic, length of the head, head as JSON, body. */
export function encodeEntry(key: string, entry: CacheEntry): Buffer {
  const { body, ...facts } = entry;
  const head = Buffer.from(JSON.stringify({ key, ...facts, bodyBytes: body.length, bodyCrc: crc32(body) }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([magic, length, head, body]);
}

/** @returns undefined for anything that was not written by `encodeEntry` for this key, or did not arrive whole. */
export function decodeEntry(key: string, bytes: Buffer): CacheEntry | undefined {
  if (bytes.length < prefixBytes || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const bodyStart = prefixBytes + bytes.readUInt32BE(magic.length);
  const head = headSchema.safeParse(parse(bytes.subarray(prefixBytes, bodyStart)));
  if (!head.success || head.data.key !== key) return undefined;
  const { key: _, bodyBytes, bodyCrc, usage, ...facts } = head.data;
  // Copied: the bytes are part of a larger buffer of the connection, which an entry in memory would keep alive.
  const body = Buffer.from(bytes.subarray(bodyStart));
  if (body.length !== bodyBytes || crc32(body) !== bodyCrc) return undefined;
  return { ...facts, usage, body };
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
