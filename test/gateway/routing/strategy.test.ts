import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limitsBind } from '../../../gateway/routing/eligibility.ts';
import { anything } from '../examples.ts';
import { begin, list, type Made, names, nobodyFailed, price, routerOf, streaming } from './strategy-router.ts';

describe('the algorithms', () => {
  it('simple-shuffle: weighted by the first of weight, rpm and tpm that somebody states; evenly when nobody does', () => {
    expect(
      routerOf({ strategy: 'simple-shuffle' }, list({ weight: 3 }, { weight: 1 })).shares(4_000)['a'],
    ).toBeGreaterThan(2_800);
    expect(
      routerOf({ strategy: 'simple-shuffle' }, list({ rpm: 1_000 }, { rpm: 9_000 })).shares(4_000)['b'],
    ).toBeGreaterThan(3_400);
    expect(routerOf({ strategy: 'simple-shuffle' }, list({}, {})).shares(4_000)['a']).toBeGreaterThan(1_800);
  });

  it('least-busy: the one with the fewest attempts under way, unseen ones being idle', () => {
    const made = routerOf({ strategy: 'least-busy' }, list({}, {}, {}));
    begin(made, 'a', 2);
    const [end] = begin(made, 'b', 1);
    expect(made.always()).toBe('c');
    begin(made, 'c', 3);
    expect(made.always()).toBe('b');
    end?.();
    expect(made.always()).toBe('b');
  });

  it.each(['usage-based-routing', 'usage-based-routing-v2'] as const)(
    '%s: the one with the fewest tokens this minute, of those whose rpm and tpm have room',
    (strategy) => {
      const made = routerOf({ strategy }, list({}, { rpm: 2 }, { tpm: 100 }));
      made.load.use('a', 500);
      made.load.use('b', 90);
      made.load.use('c', 80);
      expect(made.always()).toBe('c');
      expect(made.always({ ...anything, promptTokens: 21 })).toBe('b');
      begin(made, 'b', 2);
      expect(made.always({ ...anything, promptTokens: 21 })).toBe('a');
      made.pass(60_000);
      made.load.use('a', 1);
      expect(Object.keys(made.shares()).toSorted()).toEqual(['b', 'c']);
    },
  );

  it('latency-based-routing: the fastest per token, for streams the fastest first chunk, of those whose limits have room', () => {
    const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}, { rpm: 0 }));
    made.load.measured('a', { seconds: 1, stream: false, completionTokens: 100 });
    made.load.measured('b', { seconds: 2, stream: false, completionTokens: 100 });
    made.load.measured('a', { seconds: 0.5, stream: true, completionTokens: undefined });
    made.load.measured('b', { seconds: 0.1, stream: true, completionTokens: undefined });
    made.load.measured('c', { seconds: 0, stream: false, completionTokens: 100 });
    expect(made.always()).toBe('a');
    expect(made.always(streaming)).toBe('b');
  });

  it('latency-based-routing: one that was not seen within the ttl is tried first', () => {
    const made = routerOf({ strategy: 'latency-based-routing', latencyTtlSeconds: 60 }, list({}, {}));
    made.load.measured('a', { seconds: 0.001, stream: true, completionTokens: undefined });
    expect(made.always(streaming)).toBe('b');
    made.load.measured('b', { seconds: 9, stream: true, completionTokens: undefined });
    expect(made.always(streaming)).toBe('a');
    made.pass(60_001);
    made.load.measured('a', { seconds: 0.001, stream: true, completionTokens: undefined });
    expect(made.always(streaming)).toBe('b');
  });

  it.each([
    [0, ['a']],
    [0.2, ['a', 'b']],
    [0.5, ['a', 'b', 'c']],
  ])('latency-based-routing: a buffer of %d spreads over all that are at most so much slower', (latencyBuffer, ids) => {
    const made = routerOf({ strategy: 'latency-based-routing', latencyBuffer }, list({}, {}, {}, {}));
    for (const [id, seconds] of [
      ['a', 1],
      ['b', 1.2],
      ['c', 1.5],
      ['d', 1.6],
    ] as const) {
      made.load.measured(id, { seconds, stream: true, completionTokens: undefined });
    }
    expect(Object.keys(made.shares(400, streaming)).toSorted()).toEqual(ids);
  });

  it('cost-based-routing: the cheapest per input and output token, of those whose limits have room', () => {
    const made = routerOf(
      { strategy: 'cost-based-routing' },
      list(price(3), { prices: { inputCostPerToken: 1, outputCostPerToken: 4 } }, { ...price(1), rpm: 1 }),
    );
    expect(made.always()).toBe('c');
    begin(made, 'c', 1);
    expect(made.always()).toBe('b');
  });
});

describe('defects of others that this gateway does not have', () => {
  it('simple-shuffle: the field comes from every candidate, not from the first one alone', () => {
    const made = routerOf({ strategy: 'simple-shuffle' }, list({}, { weight: 1 }, { weight: 3 }));
    expect(made.shares(4_000)['a']).toBeUndefined();
    expect(made.shares(4_000)['c']).toBeGreaterThan(2_800);
  });

  it.each(names)(
    '%s: four equal deployments get even shares, the first in the file no more than the others (#39322)',
    (strategy) => {
      const shares = routerOf({ strategy }, list(price(1), price(1), price(1), price(1))).shares(4_000);
      expect(Object.keys(shares).toSorted()).toEqual(['a', 'b', 'c', 'd']);
      for (const count of Object.values(shares)) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    },
  );

  it('least-busy: a burst of 400 concurrent requests is spread to the last one', () => {
    const made = routerOf({ strategy: 'least-busy' }, list({}, {}, {}, {}));
    for (let request = 0; request < 400; request++) {
      made.load.begin(made.router.choose('chat', nobodyFailed, anything)?.id ?? 'nobody');
    }
    expect(['a', 'b', 'c', 'd'].map((id) => made.load.of(id).inFlight)).toEqual([100, 100, 100, 100]);
  });

  it('least-busy: no update is lost and no counter falls below zero, whatever is told twice (#39322, #37622)', () => {
    const made = routerOf({ strategy: 'least-busy' }, list({}, {}));
    const ends = begin(made, 'a', 5);
    for (const end of [...ends, ...ends, ...ends]) end();
    expect(made.load.of('a').inFlight).toBe(0);
    begin(made, 'b', 1);
    expect(made.always()).toBe('a');
  });

  it('least-busy: tokens of an answer that no attempt was made for (a cache hit) do not make anybody less busy', () => {
    const made = routerOf({ strategy: 'least-busy' }, list({}, {}));
    made.load.use('a', 1_000);
    expect(made.load.of('a').inFlight).toBe(0);
    expect(Object.keys(made.shares()).toSorted()).toEqual(['a', 'b']);
  });

  it('least-busy: an idle deployment that is cooling neither serves nor spoils the choice among the others', () => {
    const made = routerOf({ strategy: 'least-busy' }, list({}, {}, {}));
    made.router.adopt('a', 30_000);
    begin(made, 'b', 3);
    begin(made, 'c', 2);
    expect(made.always()).toBe('c');
  });

  it.each(['usage-based-routing', 'usage-based-routing-v2', 'latency-based-routing', 'cost-based-routing'] as const)(
    '%s: somebody is found whenever somebody has room, also when the first order or the untried ones have none (#16060)',
    (strategy) => {
      const full = { rpm: 0 };
      const ordered = routerOf({ strategy }, list({ ...full, order: 1 }, { order: 2 }));
      expect(ordered.always()).toBe('b');
      const tried = routerOf({ strategy }, list(full, {}));
      expect(tried.shares(10, anything, new Set(['b']))).toEqual({ b: 10 });
      expect(tried.router.availability('chat', new Set(['b']), anything)).toEqual({ all: 2, eligible: 1, untried: 0 });
    },
  );

  it.each(['usage-based-routing', 'usage-based-routing-v2'] as const)(
    '%s: when everybody is over the limits the answer is 429, and there is nobody to retry at',
    (strategy) => {
      const made = routerOf({ strategy }, list({ rpm: 1 }, { tpm: 0 }));
      begin(made, 'a', 1);
      expect(made.shares(1)).toEqual({ nobody: 1 });
      expect(made.router.availability('chat', nobodyFailed, anything)).toEqual({ all: 2, eligible: 0, untried: 0 });
      expect(made.router.whyNone('chat', anything)).toMatchObject({ kind: 'rate-limit', status: 429 });
    },
  );

  it.each(['usage-based-routing', 'usage-based-routing-v2'] as const)(
    '%s: a refused choice uses up no limit',
    (strategy) => {
      const made = routerOf({ strategy }, list({ rpm: 1 }));
      begin(made, 'a', 1);
      made.shares(50);
      expect(made.load.of('a').requests).toBe(1);
    },
  );

  it('latency-based-routing: the list does not keep the oldest; a deployment that became slow is left', () => {
    const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}));
    made.load.measured('b', { seconds: 1, stream: true, completionTokens: undefined });
    for (let sample = 0; sample < 100; sample++) {
      made.load.measured('a', { seconds: 0.1, stream: true, completionTokens: undefined });
    }
    expect(made.always(streaming)).toBe('a');
    for (let sample = 0; sample < 5; sample++) {
      made.load.measured('a', { seconds: 10, stream: true, completionTokens: undefined });
    }
    expect(made.always(streaming)).toBe('b');
  });

  it('latency-based-routing: zero tokens and zero seconds divide nothing by zero (PR #39970)', () => {
    const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}));
    made.load.measured('a', { seconds: 0, stream: false, completionTokens: 0 });
    made.load.measured('b', { seconds: 3, stream: false, completionTokens: 0 });
    expect(made.always()).toBe('a');
  });

  it('cost-based-routing: equal prices are a tie that chance decides', () => {
    const shares = routerOf({ strategy: 'cost-based-routing' }, list(price(2), price(1), price(1))).shares(1_000);
    expect(Object.keys(shares).toSorted()).toEqual(['b', 'c']);
    expect(Math.abs((shares['b'] ?? 0) - 500)).toBeLessThan(100);
  });

  it('cost-based-routing: an unknown price comes after every known one, and serves when it is all there is', () => {
    expect(routerOf({ strategy: 'cost-based-routing' }, list({}, price(100))).always()).toBe('b');
    expect(Object.keys(routerOf({ strategy: 'cost-based-routing' }, list({}, {})).shares()).toSorted()).toEqual([
      'a',
      'b',
    ]);
  });

  it.each(names)('%s: when everybody cools, somebody is asked all the same', (strategy) => {
    const made = routerOf({ strategy }, list({}, {}));
    made.router.adopt('a', 30_000);
    made.router.adopt('b', 30_000);
    expect(made.shares(20)['nobody']).toBeUndefined();
  });
});

describe('latency-based-routing and a deployment that nobody knows', () => {
  const known = (made: Made, id: string, seconds: number): void =>
    made.load.measured(id, { seconds, stream: false, completionTokens: 1 });

  it('sends it one request at a time, and the others where they are known to be fast', () => {
    const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}, {}));
    known(made, 'a', 1);
    known(made, 'b', 2);
    const probe = made.router.choose('chat', nobodyFailed, anything);
    expect(probe?.id).toBe('c');
    const end = made.load.begin('c');
    expect(made.shares(100)).toEqual({ a: 100 });
    end();
    // It failed without an answer: still nobody knows it.
    expect(made.always()).toBe('c');
    known(made, 'c', 0.5);
    expect(made.always()).toBe('c');
    made.load.begin('c');
    expect(made.always()).toBe('c');
  });

  it('when nobody is known, spreads evenly', () => {
    const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}, {}));
    for (let request = 0; request < 99; request++) {
      const chosen = made.router.choose('chat', nobodyFailed, anything);
      if (chosen !== undefined) made.load.begin(chosen.id);
    }
    expect(['a', 'b', 'c'].map((id) => made.load.of(id).inFlight)).toEqual([33, 33, 33]);
  });

  it('in any history: while somebody is known, no more than one request is under way to one that is not', () => {
    const step = fc.record({ does: fc.constantFrom('begin', 'begin', 'answer', 'fail'), which: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, stream) => {
        const made = routerOf({ strategy: 'latency-based-routing' }, list({}, {}, {}, {}));
        const running: { id: string; end: () => void }[] = [];
        const seen = new Set<string>();
        const unknownRunning = (id: string): number => running.filter((one) => one.id === id).length;
        for (const { does, which } of steps) {
          if (does === 'begin') {
            const id = made.router.choose('chat', nobodyFailed, { ...anything, stream })?.id ?? '';
            if (seen.size > 0 && !seen.has(id)) expect(unknownRunning(id)).toBe(0);
            running.push({ id, end: made.load.begin(id) });
            continue;
          }
          const [one] = running.splice(which % Math.max(1, running.length), 1);
          if (one === undefined) continue;
          one.end();
          if (does === 'fail') continue;
          made.load.measured(one.id, { seconds: (which % 7) + 1, stream, completionTokens: 1 });
          seen.add(one.id);
        }
        for (const one of running) one.end();
        for (const id of ['a', 'b', 'c', 'd']) expect(made.load.of(id).inFlight).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('enforce_model_rate_limits', () => {
  it.each(names)('%s: exactly rpm requests of a minute are let through, and the refusal says so', (strategy) => {
    const made = routerOf({ strategy, enforceRateLimits: true }, list({ rpm: 3 }, { rpm: 2 }));
    let through = 0;
    for (let request = 0; request < 20; request++) {
      const chosen = made.router.choose('chat', nobodyFailed, anything);
      if (chosen === undefined) continue;
      through++;
      made.load.begin(chosen.id)();
    }
    expect(through).toBe(5);
    expect(made.router.whyNone('chat', anything)).toMatchObject({
      kind: 'rate-limit',
      status: 429,
      type: 'rate_limit_error',
      message: 'Model rate limit exceeded. RPM limit=3, current usage=3',
      retryAfterSeconds: 60,
    });
    made.pass(60_000);
    expect(made.router.choose('chat', nobodyFailed, anything)).toBeDefined();
  });

  it('what siblings used counts, and is gone with the minute', () => {
    const made = routerOf({ strategy: 'simple-shuffle', enforceRateLimits: true }, list({ rpm: 10, tpm: 100 }));
    made.load.adopt(made.load.minute, 'a', { requests: 9, tokens: 0 });
    made.load.begin('a')();
    expect(made.router.choose('chat', nobodyFailed, anything)).toBeUndefined();
    made.pass(60_000);
    expect(made.router.choose('chat', nobodyFailed, anything)?.id).toBe('a');
    made.load.adopt(made.load.minute, 'a', { requests: 0, tokens: 100 });
    expect(made.router.choose('chat', nobodyFailed, anything)).toBeUndefined();
    expect(made.router.whyNone('chat', anything).message).toContain('TPM limit=100, current usage=100');
  });
});

describe('rpm and tpm', () => {
  it.each(names.filter((name) => !limitsBind[name]))(
    '%s: they are no limits, but those that are over them come last',
    (strategy) => {
      const made = routerOf({ strategy }, list({ rpm: 1 }, { rpm: 2 }));
      begin(made, 'a', 1)[0]?.();
      expect(made.always()).toBe('b');
      for (const end of begin(made, 'b', 2)) end();
      expect(made.shares(10)['nobody']).toBeUndefined();
    },
  );
});
