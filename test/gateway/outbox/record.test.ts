import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecords, encodeRecord } from '../../../gateway/outbox/record.ts';
import { beginText, endText, interruptedText, readRecordText } from '../../../gateway/outbox/record-text.ts';
import { usageDetailOf } from '../../../gateway/pricing/usage-detail.ts';
import { spendEvent } from '../examples.ts';

const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }), { minLength: 1, maxLength: 12 });

function segmentOf(records: readonly string[]): { bytes: Buffer; ends: number[] } {
  const buffer = Buffer.alloc(64 * 1024);
  const ends: number[] = [];
  let at = 0;
  for (const text of records) {
    at += encodeRecord(buffer.subarray(at), text);
    ends.push(at);
  }
  return { bytes: buffer.subarray(0, at), ends };
}

function read(bytes: Buffer): { found: string[]; good: number } {
  const found: string[] = [];
  const good = decodeRecords(bytes, (text) => found.push(text));
  return { found, good };
}

describe('a segment', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(texts, (records) => {
        const { bytes } = segmentOf(records);
        expect(read(bytes)).toEqual({ found: records, good: bytes.length });
      }),
    );
  });

  it('cut at any byte is read up to the last record that is whole', () => {
    fc.assert(
      fc.property(texts, (records) => {
        const { bytes, ends } = segmentOf(records);
        for (let cut = 0; cut <= bytes.length; cut++) {
          const whole = ends.filter((end) => end <= cut).length;
          expect(read(bytes.subarray(0, cut))).toEqual({ found: records.slice(0, whole), good: ends[whole - 1] ?? 0 });
        }
      }),
      { numRuns: 40 },
    );
  });

  it('with a damaged byte, or zeros where a disk kept nothing, is read up to the record before', () => {
    fc.assert(
      fc.property(texts, fc.nat(), fc.integer({ min: 1, max: 255 }), (records, where, difference) => {
        const { bytes, ends } = segmentOf(records);
        const at = where % bytes.length;
        const before = ends.filter((end) => end <= at).length;
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8((damaged[at] ?? 0) ^ difference, at);
        expect(read(damaged).found).toEqual(records.slice(0, before));
        const zeroed = Buffer.from(bytes).fill(0, ends[before - 1] ?? 0);
        expect(read(zeroed).found).toEqual(records.slice(0, before));
      }),
    );
  });

  it('a text too long for the buffer is refused, and not cut', () => {
    expect(encodeRecord(Buffer.alloc(20), 'x'.repeat(13))).toBe(0);
    expect(encodeRecord(Buffer.alloc(20), 'x'.repeat(12))).toBe(20);
  });
});

describe('a record', () => {
  it('tells whether it is a begin or an end, and of which request', () => {
    const event = spendEvent('018f0000-0000-7000-8000-000000000001');
    expect(readRecordText(beginText(event))).toEqual({ is: 'begin', id: event.requestId });
    expect(readRecordText(endText(event))).toEqual({ is: 'end', id: event.requestId });
    expect(readRecordText('{"something":"else"}')).toBeUndefined();
  });

  it('has the day of its own time in UTC, and money to the last digit', () => {
    const costMicros = 9_007_199_254_740_993n;
    const startedAtMs = Date.UTC(2026, 1, 28, 23, 59, 59, 999);
    const [one, next] = [0, 1].map((more) => endText(spendEvent('x', { costMicros, startedAtMs: startedAtMs + more })));
    expect(JSON.parse(one ?? '')).toMatchObject({ day: '2026-02-28', cost: '9007199254740993' });
    expect(JSON.parse(next ?? '')).toMatchObject({ day: '2026-03-01' });
  });

  it('of an ordinary request is no longer for what others are priced by', () => {
    const detail = usageDetailOf({ promptTokens: 9, completionTokens: 9, cachedPromptTokens: 3 }, { atMs: 5 });
    expect(detail).toBeUndefined();
    expect(endText(spendEvent('x'))).not.toContain('usage_detail');
    const usageDetail = usageDetailOf(
      { promptTokens: 9, completionTokens: 9, reasoningTokens: 7 },
      { atMs: 5, images: 2 },
    );
    const records = [{}, { tags: ['needs', 'the', 'long', 'way'] }].map((over) =>
      endText(spendEvent('x', { ...over, ...(usageDetail && { usageDetail }) })),
    );
    for (const text of records) {
      expect(JSON.parse(text)).toMatchObject({ id: 'x', usage_detail: { v: 1, reasoningTokens: 7, images: 2 } });
    }
  });

  it('of a request that never ended costs what was set aside, and nobody knows what without that', () => {
    const begin = (reservedMicros: number | null) =>
      beginText(spendEvent('x', { reservedMicros, accounts: ['a:key:1'] }));
    expect(JSON.parse(interruptedText(begin(4_711)))).toMatchObject({
      id: 'x',
      ending: 'interrupted',
      cost: 4_711,
      reserved: 4_711,
      accounts: ['a:key:1'],
    });
    expect(JSON.parse(interruptedText(begin(null)))).not.toHaveProperty('cost');
  });

  it('says what its request said, character by character, whatever has to be escaped', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', ' ', '"', '\\', '\n', '\0', '\u007f', 'é', '\u2028', '😀', '\ud800', '\udc00'),
    });
    const presentable = (value: string) => value.toWellFormed().replaceAll('\0', '\u{fffd}');
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 9, maxLength: 9 }),
        fc.array(name, { maxLength: 3 }),
        (said, accounts) => {
          const [callId = '', keyId = '', teamId = '', endUser = '', deploymentId = '', provider = ''] = said;
          const [model = '', modelGroup = '', requestedModel = ''] = said.slice(6);
          const own = { deploymentId, provider, model, modelGroup };
          const names = { callId, keyId, teamId, endUser, requestedModel, accounts };
          const event = spendEvent('x', { ...own, ...names, startedAtMs: 5, costMicros: 7n, reservedMicros: 9 });
          const common = {
            day: '1970-01-01',
            at: 5,
            reserved: 9,
            ...(accounts.length === 0 ? {} : { accounts: accounts.map(presentable) }),
            call: presentable(callId),
            key: event.keyHash,
            key_id: presentable(keyId),
            team: presentable(teamId),
            end_user: presentable(endUser),
            operation: event.operation,
            requested_model: presentable(requestedModel),
            model_group: presentable(modelGroup),
            stream: event.stream,
          };
          expect(JSON.parse(beginText(event))).toEqual({ begins: 'x', ...common });
          expect(JSON.parse(endText(event))).toMatchObject({
            id: 'x',
            ...common,
            cost: 7,
            deployment: presentable(deploymentId),
            provider: presentable(provider),
            model: presentable(model),
            ending: event.ending,
            status: event.status,
            attempts: event.attempts,
            duration_ms: event.durationMs,
          });
        },
      ),
    );
  });

  it('stays short, and without what PostgreSQL refuses, whatever a client says', () => {
    // Any UTF-16 units, halves of pairs included; long ones by repetition, which is made quickly.
    const anything = fc
      .tuple(fc.uint16Array({ maxLength: 400 }), fc.integer({ min: 1, max: 100 }))
      .map(([units, times]) => String.fromCharCode(...units).repeat(times));
    fc.assert(
      fc.property(anything, fc.array(anything, { maxLength: 200 }), fc.jsonValue(), (text, tags, json) => {
        const event = spendEvent('x', {
          callId: text,
          requestedModel: text,
          endUser: text,
          tags,
          metadata: { json, [text]: text },
        });
        for (const record of [beginText(event), endText(event)]) {
          expect(record.length).toBeLessThan(100_000);
          expect(record).not.toMatch(/(^|[^\\])(\\\\)*\\u(0000|d[89a-f])/i);
          expect(() => JSON.parse(record)).not.toThrow();
        }
      }),
      { numRuns: 60 },
    );
  });
});
