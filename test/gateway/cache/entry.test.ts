import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeEntry, encodeEntry } from '../../../gateway/cache/entry.ts';
import type { CacheEntry } from '../../../gateway/domain/answer-cache.ts';

const entry: CacheEntry = {
  kind: 'whole',
  contentType: 'application/json',
  usage: { promptTokens: 3, completionTokens: 4, reasoningTokens: 1 },
  deploymentId: 'd',
  storedAtMs: 1,
  expiresAtMs: 2,
  body: Buffer.from('{"a":"ü"}'),
};
const bytes = encodeEntry('key', entry);

it('comes back as it was kept, with any body and without usage', () => {
  expect(decodeEntry('key', bytes)).toEqual(entry);
  fc.assert(
    fc.property(fc.uint8Array(), (body) => {
      const other: CacheEntry = { ...entry, kind: 'stream', usage: undefined, body: Buffer.from(body) };
      expect(decodeEntry('key', encodeEntry('key', other))).toEqual(other);
    }),
  );
});

it('is nothing under another key, cut, changed anywhere, or when it never was one', () => {
  expect(decodeEntry('other', bytes)).toBeUndefined();
  for (let length = 0; length < bytes.length; length++)
    expect(decodeEntry('key', bytes.subarray(0, length))).toBeUndefined();
  expect(decodeEntry('key', Buffer.concat([bytes, Buffer.from('x')]))).toBeUndefined();
  for (let at = bytes.length - entry.body.length; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    expect(decodeEntry('key', damaged)).toBeUndefined();
  }
  fc.assert(fc.property(fc.uint8Array(), (noise) => decodeEntry('key', Buffer.from(noise)) === undefined));
});
