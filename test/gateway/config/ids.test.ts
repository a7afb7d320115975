import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { load } from './load-example.ts';

const entry = fc.record(
  {
    model_name: fc.constantFrom('a', 'b'),
    model: fc.constantFrom('gpt-4o', 'openai/gpt-4o', 'groq/x'),
    api_key: fc.constantFrom('sk-1', 'sk-2'),
    rpm: fc.constantFrom(1, 2),
    weight: fc.constantFrom(1, 2),
    api_base: fc.constantFrom('http://x/v1', 'http://y/v1'),
  },
  { requiredKeys: ['model_name', 'model', 'api_key'] },
);

/** JSON is YAML. */
const fileOf = (entries: readonly Record<string, unknown>[]): string =>
  JSON.stringify({ model_list: entries.map(({ model_name, ...litellm_params }) => ({ model_name, litellm_params })) });

const idsOf = (text: string): string[] => [...load(text).config.groups.values()].flat().map(({ id }) => id);

const reversed = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).toReversed());

it('different entries have different ids; the same entry has the same one, in any order of entries and keys', () => {
  const lists = fc.uniqueArray(entry, {
    selector: (value) => JSON.stringify(reversed(value)),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(lists, (entries) => {
      const sorted = entries.map((each) =>
        Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      );
      const unique = sorted.filter(
        (each, at) => sorted.findIndex((other) => JSON.stringify(other) === JSON.stringify(each)) === at,
      );
      const ids = idsOf(fileOf(unique));
      expect(new Set(ids).size).toBe(unique.length);
      expect(idsOf(fileOf(unique.toReversed().map(reversed))).toSorted()).toEqual(ids.toSorted());
    }),
    { numRuns: 200 },
  );
});

it('an id shows nothing of the key', () => {
  const [id = ''] = idsOf('model_list: [{model_name: a, litellm_params: {model: gpt-4o, api_key: sk-secret}}]');
  expect(id).toMatch(/^[0-9a-f]{32}$/);
});

it('model_info.id is the id', () => {
  expect(idsOf('model_list: [{model_name: a, litellm_params: {model: gpt-4o}, model_info: {id: mine}}]')).toEqual([
    'mine',
  ]);
});
