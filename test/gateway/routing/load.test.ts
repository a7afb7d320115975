import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadBook } from '../../../gateway/routing/load.ts';

const start = 6_000_000;

function bookAt(latencyTtlSeconds = 3_600): { book: LoadBook; pass: (milliseconds: number) => void } {
  let nowMs = start;
  return {
    book: new LoadBook({ now: () => nowMs, latencyTtlSeconds }),
    pass: (milliseconds) => {
      nowMs += milliseconds;
    },
  };
}

const whole = (seconds: number, completionTokens: number | undefined) => ({ seconds, stream: false, completionTokens });
const stream = (seconds: number) => ({ seconds, stream: true, completionTokens: undefined });

it('a deployment that was never seen is idle, and asking about it changes nothing', () => {
  const { book } = bookAt();
  const idle = { inFlight: 0, requests: 0, tokens: 0, firstChunkSeconds: undefined, secondsPerToken: undefined };
  expect(book.of('unseen')).toEqual(idle);
  expect(book.of('unseen')).toEqual(idle);
});

describe('attempts under way', () => {
  it('return to zero after any interleaving of beginnings and ends, however often and in whatever order ends are told', () => {
    const step = fc.record({ id: fc.constantFrom('a', 'b', 'c'), end: fc.option(fc.nat(), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.infiniteStream(fc.nat(1_000)), (steps, draws) => {
        const { book, pass } = bookAt();
        const begun: { id: string; end: () => void; ended: boolean }[] = [];
        const running = (id: string): number => begun.filter((one) => one.id === id && !one.ended).length;
        for (const { id, end } of steps) {
          pass(draws.next().value ?? 0);
          const one = end === undefined ? undefined : begun[end % Math.max(1, begun.length)];
          if (one === undefined) begun.push({ id, end: book.begin(id), ended: false });
          else {
            one.end();
            one.ended = true;
          }
          for (const each of ['a', 'b', 'c']) expect(book.of(each).inFlight).toBe(running(each));
        }
        const order = begun.map((one) => ({ one, key: draws.next().value ?? 0 })).toSorted((a, b) => a.key - b.key);
        for (const { one } of [...order, ...order.toReversed()]) one.end();
        for (const each of ['a', 'b', 'c']) expect(book.of(each).inFlight).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('outlive the minute they began in', () => {
    const { book, pass } = bookAt();
    const end = book.begin('a');
    pass(180_000);
    book.use('a', 1);
    expect(book.of('a').inFlight).toBe(1);
    end();
    expect(book.of('a').inFlight).toBe(0);
  });
});

describe('requests and tokens', () => {
  it('are those of the running minute', () => {
    const { book, pass } = bookAt();
    book.begin('a')();
    book.begin('a');
    book.use('a', 100);
    book.use('a', 20);
    expect(book.of('a')).toMatchObject({ requests: 2, tokens: 120 });
    pass(59_999);
    expect(book.of('a')).toMatchObject({ requests: 2, tokens: 120 });
    pass(1);
    expect(book.of('a')).toMatchObject({ requests: 0, tokens: 0 });
    book.use('a', 7);
    expect(book.of('a')).toMatchObject({ requests: 0, tokens: 7 });
  });

  it('of one deployment are not counted at another', () => {
    const { book } = bookAt();
    book.begin('a');
    book.use('a', 100);
    expect(book.of('b')).toMatchObject({ inFlight: 0, requests: 0, tokens: 0 });
  });
});

describe('minutes of a common clock', () => {
  it('begin when it says; what was counted in the running one stays in it', () => {
    const { book, pass } = bookAt();
    book.begin('a')();
    book.use('a', 7);
    book.align(90_000_000 + 59_000);
    expect(book.minute).toBe(1_500);
    expect(book.secondsLeft).toBe(1);
    expect(book.counted('a')).toEqual({ requests: 1, tokens: 7 });
    pass(999);
    expect(book.of('a')).toMatchObject({ requests: 1, tokens: 7 });
    pass(1);
    expect(book.minute).toBe(1_501);
    expect(book.of('a')).toMatchObject({ requests: 0, tokens: 0 });
  });

  it('a message that took some time to come does not move them', () => {
    const { book } = bookAt();
    book.align(90_000_000);
    book.align(90_000_000 - 200);
    expect(book.minute).toBe(1_500);
    book.align(90_000_000 - 5_000);
    expect(book.minute).toBe(1_499);
  });
});

describe('speed', () => {
  it('of whole answers is seconds per completion token, of streams the time to the first chunk; neither touches the other', () => {
    const { book } = bookAt();
    book.measured('a', whole(2, 100));
    expect(book.of('a')).toMatchObject({ secondsPerToken: 0.02, firstChunkSeconds: undefined });
    book.measured('a', stream(0.3));
    expect(book.of('a')).toMatchObject({ secondsPerToken: 0.02, firstChunkSeconds: 0.3 });
  });

  it.each([0, undefined])('no division by zero: an answer with %s completion tokens counts as one token', (tokens) => {
    const { book } = bookAt();
    book.measured('a', whole(2, tokens));
    expect(book.of('a').secondsPerToken).toBe(2);
  });

  it('follows the newest samples: twenty of a new speed outweigh any number of an old one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0.001, max: 100, noNaN: true }),
        fc.double({ min: 0.001, max: 100, noNaN: true }),
        (samples, oldSeconds, newSeconds) => {
          const { book } = bookAt();
          for (let sample = 0; sample < samples; sample++) book.measured('a', stream(oldSeconds));
          for (let sample = 0; sample < 20; sample++) book.measured('a', stream(newSeconds));
          const distance = Math.abs((book.of('a').firstChunkSeconds ?? 0) - newSeconds);
          expect(distance).toBeLessThanOrEqual(Math.abs(oldSeconds - newSeconds) * 0.001 + 1e-9);
        },
      ),
    );
  });

  it('stays between the fastest and the slowest sample', () => {
    const samples = fc.array(fc.double({ min: 0, max: 1_000, noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(samples, (seconds) => {
        const { book } = bookAt();
        for (const one of seconds) book.measured('a', stream(one));
        const average = book.of('a').firstChunkSeconds ?? Number.NaN;
        expect(average).toBeGreaterThanOrEqual(Math.min(...seconds) - 1e-9);
        expect(average).toBeLessThanOrEqual(Math.max(...seconds) + 1e-9);
      }),
    );
  });

  it('is forgotten after the ttl, and what comes then starts afresh', () => {
    const { book, pass } = bookAt(10);
    book.measured('a', stream(100));
    pass(10_000);
    expect(book.of('a').firstChunkSeconds).toBe(100);
    pass(1);
    expect(book.of('a').firstChunkSeconds).toBeUndefined();
    book.measured('a', stream(1));
    expect(book.of('a').firstChunkSeconds).toBe(1);
  });
});
