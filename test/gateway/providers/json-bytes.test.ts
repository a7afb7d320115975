import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanTopLevel } from '../../../gateway/providers/json-bytes.ts';

const names = ['model', 'usage', 'error', 'stream'];
const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('"', '\\', '\\"', '{"model":1}', '}', ']', ',', ':', 'ü', '日本', '😀', '\u2028', '\\u0022'),
);
const value = fc.oneof(fc.jsonValue({ maxDepth: 4 }), text, fc.array(text), fc.dictionary(text, text));

interface Member {
  readonly key: string;
  readonly value: unknown;
  /** Printed by `JSON.stringify` with this indent, so that nested values have space too. */
  readonly indent: number;
  readonly around: readonly [string, string, string, string];
}

const member: fc.Arbitrary<Member> = fc.record({
  key: fc.oneof(fc.constantFrom(...names), text),
  value,
  indent: fc.constantFrom(0, 2),
  around: fc.tuple(space, space, space, space),
});
const members = fc.uniqueArray(member, { selector: ({ key }) => key, maxLength: 8 });

const print = (list: readonly Member[], outer: string): string =>
  `${outer}{${list
    .map(({ key, value: held, indent, around: [before, colon, behind, end] }) => {
      return `${before}${JSON.stringify(key)}${colon}:${behind}${JSON.stringify(held, undefined, indent)}${end}`;
    })
    .join(',')}}${outer}`;

describe('the members of an object, found in its bytes', () => {
  it('every span holds exactly the value that JSON.parse finds, whatever stands around and inside', () => {
    fc.assert(
      fc.property(members, space, (list, outer) => {
        const bytes = Buffer.from(print(list, outer));
        const top = scanTopLevel(bytes, names);
        expect(top?.count).toBe(list.length);
        const parsed = JSON.parse(bytes.toString());
        const present = names.filter((name) => list.some(({ key }) => key === name));
        expect([...(top?.spans.keys() ?? [])].toSorted()).toEqual(present.toSorted());
        for (const [name, { start, end }] of top?.spans ?? []) {
          expect(JSON.parse(bytes.subarray(start, end).toString())).toEqual(parsed[name]);
        }
        expect(bytes.toString('latin1', 0, top?.bodyStart).trim()).toBe('{');
      }),
      { numRuns: 2_000 },
    );
  });

  it('a key that appears twice is counted twice and the last one is found, as JSON.parse has it', () => {
    const bytes = Buffer.from('{"model":"a","model":"b"}');
    const top = scanTopLevel(bytes, names);
    const span = top?.spans.get('model');
    expect(top?.count).toBe(2);
    expect(bytes.toString('utf8', span?.start, span?.end)).toBe('"b"');
  });

  it('a key written with escapes is counted but not found', () => {
    const top = scanTopLevel(Buffer.from(String.raw`{"mod\u0065l":"a"}`), names);
    expect(top?.count).toBe(1);
    expect(top?.spans.size).toBe(0);
  });

  it('a key inside a nested value or a string is not a member', () => {
    const top = scanTopLevel(Buffer.from(String.raw`{"a":{"model":1},"b":"\"model\":2","c":["model"]}`), names);
    expect(top?.spans.size).toBe(0);
    expect(top?.count).toBe(3);
  });
});

describe('bytes that are not one object', () => {
  it('anything that JSON.parse takes for an object is scanned, and nothing makes the scan throw or hang', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', '1', 'null', 'a', ' ', '"model"', 'é'), {
          maxLength: 25,
        })
        .map((parts) => Buffer.from(parts.join(''))),
    );
    fc.assert(
      fc.property(garbage, (bytes) => {
        const top = scanTopLevel(bytes, names);
        if (parsesToObject(bytes.toString())) expect(top).toBeDefined();
        for (const { start, end } of top?.spans.values() ?? []) {
          expect(start).toBeLessThan(end);
          expect(end).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    '',
    ' ',
    'null',
    '[]',
    '"{}"',
    '{',
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,}',
    '{"a" 1}',
    '{a:1}',
    '{"a":"',
    String.raw`{"a":"\"}`,
    '{"a":{"b":1}',
    '{"a":1}x',
    '{}{}',
    '<html></html>',
  ])('%j is none', (garbage) => {
    expect(scanTopLevel(Buffer.from(garbage), names)).toBeUndefined();
  });

  it('a megabyte of backslashes or brackets takes no longer than reading it', () => {
    const started = performance.now();
    scanTopLevel(Buffer.from(`{"a":"${'\\'.repeat(1_000_000)}"}`), names);
    scanTopLevel(Buffer.from(`{"a":${'['.repeat(1_000_000)}`), names);
    scanTopLevel(Buffer.from(`{"a":"${String.raw`\"`.repeat(500_000)}"}`), names);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

function parsesToObject(json: string): boolean {
  // Bytes that are not UTF-8 become replacement characters, which the scan never sees.
  if (json.includes('\uFFFD')) return false;
  try {
    const parsed: unknown = JSON.parse(json);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  } catch {
    return false;
  }
}
