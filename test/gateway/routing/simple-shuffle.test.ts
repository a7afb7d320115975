import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { simpleShuffle } from '../../../gateway/routing/simple-shuffle.ts';
import { exampleDeployment } from '../examples.ts';

const weight = fc.option(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1_000, noNaN: true })), { nil: undefined });
const candidate = fc.record({ weight, rpm: weight, tpm: weight }).map(({ weight: own, rpm, tpm }) => ({
  ...(own === undefined ? {} : { weight: own }),
  ...(rpm === undefined ? {} : { rpm }),
  ...(tpm === undefined ? {} : { tpm }),
}));
const candidates = fc
  .array(candidate, { minLength: 1, maxLength: 8 })
  .map((list) => list.map((over, index) => exampleDeployment(`d${index}`, over)));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** The rule of the reference: the first of these that any candidate has. */
const fieldOf = (list: readonly Deployment[]) =>
  (['weight', 'rpm', 'tpm'] as const).find((name) => list.some((deployment) => deployment[name] !== undefined));

describe('simple-shuffle', () => {
  it('picks a candidate, and never one of weight 0 while another has more', () => {
    fc.assert(
      fc.property(candidates, random, (list, drawn) => {
        const chosen = simpleShuffle(list, () => drawn);
        if (chosen === undefined) throw new Error('nobody was chosen');
        expect(list).toContain(chosen);
        const field = fieldOf(list);
        if (list.length > 1 && field !== undefined && list.some((other) => (other[field] ?? 0) > 0)) {
          expect(chosen[field] ?? 0).toBeGreaterThan(0);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('has nobody to pick from nobody, and does not draw for one', () => {
    expect(simpleShuffle([], () => 0.5)).toBeUndefined();
    const only = exampleDeployment('only', { weight: 0 });
    expect(simpleShuffle([only], () => expect.fail('drew'))).toBe(only);
  });

  it.each<[string, readonly Partial<Deployment>[], readonly number[]]>([
    ['weights 3 : 1', [{ weight: 3 }, { weight: 1 }], [0.75, 0.25]],
    ['rpm 900 : 100', [{ rpm: 900 }, { rpm: 100 }], [0.9, 0.1]],
    ['tpm when nobody has weight or rpm', [{ tpm: 100 }, { tpm: 300 }], [0.25, 0.75]],
    [
      'weight wins over rpm',
      [
        { weight: 1, rpm: 1_000 },
        { weight: 1, rpm: 1 },
      ],
      [0.5, 0.5],
    ],
    ['a missing weight is 0 when another states one', [{}, { weight: 1 }], [0, 1]],
    ['no weight at all: evenly', [{}, {}, {}, {}], [0.25, 0.25, 0.25, 0.25]],
    ['only weights of 0: evenly', [{ weight: 0 }, { weight: 0 }], [0.5, 0.5]],
    ['a weight of 0 in the middle', [{ weight: 1 }, { weight: 0 }, { weight: 1 }], [0.5, 0, 0.5]],
  ])('%s', (_case, overs, shares) => {
    const list = overs.map((over, index) => exampleDeployment(`d${index}`, over));
    const draws = 10_000;
    const counts = new Map<string, number>();
    // Evenly spread draws give the exact shares; real randomness would only blur them.
    for (let draw = 0; draw < draws; draw++) {
      const id = simpleShuffle(list, () => (draw + 0.5) / draws)?.id ?? 'nobody';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const [index, share] of shares.entries()) {
      expect((counts.get(`d${index}`) ?? 0) / draws).toBeCloseTo(share, 3);
    }
  });

  it('follows the weights with the randomness of production', () => {
    const list = [exampleDeployment('a', { weight: 7 }), exampleDeployment('b', { weight: 3 })];
    let first = 0;
    for (let draw = 0; draw < 20_000; draw++) if (simpleShuffle(list, Math.random)?.id === 'a') first++;
    // Six standard deviations: a false alarm once in 500 million runs.
    expect(Math.abs(first / 20_000 - 0.7)).toBeLessThan(6 * Math.sqrt((0.7 * 0.3) / 20_000));
  });
});
