import { expect, it } from 'vitest';
import { crossesBorderOf, isBetweenRegions, type Link } from '../../../runbooks/lab/lab-links.ts';

/** Each with whether it leads from one region to the other, and whose borders it crosses. */
const ways: readonly (readonly [Link, boolean, readonly string[]])[] = [
  ['a.gateways>a.database', false, []],
  ['b.gateways>b.redis', false, []],
  ['a.gateways>b.gateways', true, ['a', 'b']],
  ['b.database>a.database', true, ['a', 'b']],
  ['outside>a.door-0', false, ['a']],
  ['outside>b.database', false, ['b']],
  ['a.gateways>b.archive', true, ['a', 'b']],
  ['outside>b.archive', false, ['b']],
  // Of the claim's buckets the first lies in b, the second in a, the third in neither.
  ['a.gateways>bucket-0', true, ['a', 'b']],
  ['b.gateways>bucket-0', false, []],
  ['b.gateways>bucket-1', true, ['a', 'b']],
  ['a.gateways>bucket-2', false, ['a']],
  ['outside>bucket-0', false, ['b']],
  ['outside>bucket-2', false, []],
];

it.each(ways)('%s: cut by a partition %s, by the isolation of %s', (link, isBetween, borders) => {
  expect(isBetweenRegions(link)).toBe(isBetween);
  expect((['a', 'b'] as const).filter((region) => crossesBorderOf(region, link))).toEqual(borders);
});
