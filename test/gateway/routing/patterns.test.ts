import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchPattern, sortPatterns } from '../../../gateway/routing/patterns.ts';

const part = fc.string({ unit: fc.constantFrom('a', 'b', '/', '-', '.', '$', '&'), maxLength: 6 });

describe('a pattern', () => {
  it.each<[string, string, string | undefined]>([
    ['openai/*', 'openai/gpt-4o', 'gpt-4o'],
    ['openai/*', 'openai/', ''],
    ['openai/*', 'openai', undefined],
    ['openai/*', 'azure/openai/gpt-4o', undefined],
    ['*', 'anything/at-all', 'anything/at-all'],
    ['*-mini', 'gpt-4o-mini', 'gpt-4o'],
    ['gpt-*-mini', 'gpt-4o-mini', '4o'],
    ['aa*aa', 'aaa', undefined],
    // Characters that mean something in a regular expression mean themselves.
    ['a.c/*', 'abc/x', undefined],
    ['a(+*', 'a(+x', 'x'],
  ])('%j asked for as %j leaves %j for the star', (pattern, model, rest) => {
    expect(matchPattern([pattern], model)?.rest).toBe(rest);
  });

  it('fits exactly the names that it makes, and gives back what stood for the star', () => {
    fc.assert(
      fc.property(part, part, part, (head, rest, tail) => {
        expect(matchPattern([`${head}*${tail}`], head + rest + tail)).toEqual({ group: `${head}*${tail}`, rest });
      }),
    );
  });

  it('never fits a name that lacks its beginning or its end', () => {
    fc.assert(
      fc.property(part, part, part, (head, tail, model) => {
        const found = matchPattern([`${head}*${tail}`], model);
        if (found !== undefined) expect(head + found.rest + tail).toBe(model);
        else
          expect(model.length < head.length + tail.length || !model.startsWith(head) || !model.endsWith(tail)).toBe(
            true,
          );
      }),
    );
  });
});

describe('of several patterns', () => {
  it('the most specific one is taken: the longest, and the star alone last', () => {
    const sorted = sortPatterns(['*', 'openai/*', 'plain', 'openai/gpt-*']);
    expect(sorted).toEqual(['openai/gpt-*', 'openai/*', '*']);
    expect(matchPattern(sorted, 'openai/gpt-4o')).toEqual({ group: 'openai/gpt-*', rest: '4o' });
    expect(matchPattern(sorted, 'openai/o3')).toEqual({ group: 'openai/*', rest: 'o3' });
    expect(matchPattern(sorted, 'claude')).toEqual({ group: '*', rest: 'claude' });
  });

  it('the order does not depend on the order of the file', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          part.map((name) => `${name}*`),
          { maxLength: 8 },
        ),
        fc.infiniteStream(fc.nat()),
        (names, draws) => {
          const shuffled = names
            .map((name) => ({ name, key: draws.next().value ?? 0 }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ name }) => name);
          expect(sortPatterns(shuffled)).toEqual(sortPatterns(names));
        },
      ),
    );
  });
});
