/** What must hold for every decoder, whatever the network does to the bytes. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { StreamDecoder } from '../../../../gateway/providers/adapter.ts';
import { feed, summarize } from './decode.ts';

/** Declares the properties as tests. @param streams by name; @param runs smaller for slow decoders. */
export function streamProperties(
  streams: Readonly<Record<string, Buffer>>,
  newDecoder: () => StreamDecoder,
  runs = 150,
): void {
  const stream = fc.constantFrom(...Object.values(streams));

  it('any cut of the bytes gives the same parts', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 40 }), (bytes, cuts) => {
        const whole = summarize(feed(newDecoder(), [bytes]));
        expect(summarize(feed(newDecoder(), cutAt(bytes, cuts)))).toEqual(whole);
      }),
      { numRuns: runs },
    );
  });

  it('one byte at a time gives the same parts', () => {
    for (const bytes of Object.values(streams)) {
      const single = Array.from(bytes, (byte) => Buffer.of(byte));
      expect(summarize(feed(newDecoder(), single))).toEqual(summarize(feed(newDecoder(), [bytes])));
    }
  });

  it('every prefix of a stream ends exactly once, and says [DONE] only if it ends well', () => {
    for (const bytes of Object.values(streams)) {
      for (let length = 0; length <= bytes.length; length += length < 64 ? 1 : 7) {
        const { endings, text } = summarize(feed(newDecoder(), [bytes.subarray(0, length)]));
        expect(endings).toHaveLength(1);
        expect(text.includes('[DONE]')).toBe(endings[0] === 'end');
      }
    }
  });

  it('damaged bytes never throw, and end exactly once', () => {
    fc.assert(
      fc.property(
        stream,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (bytes, damage) => {
          const damaged = Buffer.from(bytes);
          for (const [at, byte] of damage) damaged[at % damaged.length] = byte;
          expect(summarize(feed(newDecoder(), [damaged])).endings).toHaveLength(1);
        },
      ),
      { numRuns: runs },
    );
  });

  it('bytes of any kind never throw, and end exactly once', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
        const { endings } = summarize(
          feed(
            newDecoder(),
            pieces.map((piece) => Buffer.from(piece)),
          ),
        );
        expect(endings).toHaveLength(1);
        expect(endings[0]).not.toBe('end');
      }),
      { numRuns: runs },
    );
  });

  it('nothing follows the ending', () => {
    for (const bytes of Object.values(streams)) {
      const decoder = newDecoder();
      feed(decoder, [bytes]);
      expect([...decoder.push(bytes), ...decoder.end()]).toEqual([]);
    }
  });
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...places].map((start, index) => bytes.subarray(start, places[index] ?? bytes.length));
}

/** Server-sent events whose data is one of these values, for whatever a provider might say. */
export const anyEvents = (types: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.oneof(
        fc.json(),
        fc
          .tuple(
            fc.constantFrom(...types),
            fc.dictionary(fc.constantFrom('index', 'delta', 'message', 'usage', 'content_block'), fc.jsonValue()),
          )
          .map(([type, members]) => JSON.stringify({ ...members, type })),
      ),
      { maxLength: 6 },
    )
    .map((events) => Buffer.from(events.map((data) => `data: ${data}\n\n`).join('')));
