/** What each topology and tier consists of, stack by stack: types and numbers, since whole templates would be megabytes. */
import { expect, test } from 'vitest';
import { definePlatform } from '../../lib/platform/platform.ts';
import { tiers } from '../../lib/platform/tiers.ts';
import { specOf, tierNames, topologyNames } from './specs.ts';
import { type Stack, synthesize } from './synthesize.ts';

const contentsOf = ({ name, template }: Stack): string => {
  const counts = new Map<string, number>();
  for (const { Type } of Object.values(template.Resources)) counts.set(Type, (counts.get(Type) ?? 0) + 1);
  const types = [...counts].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `${name}: ${types.map(([type, count]) => `${type.replace('AWS::', '')} ${count}`).join(', ')}`;
};

test.each(topologyNames)('%s consists of the recorded stacks and resources in every tier', async (topology) => {
  const parts = tierNames.map((tier) => {
    const unsafe = topology === 'single-region' && tiers[tier].regionsAtLeast > 1;
    const platform = definePlatform({
      ...specOf(tier, topology),
      ...(unsafe && { regionLoss: { optOutReason: 'A trial.' } }),
    });
    // The second standby is built like the first, which another test says.
    const stacks = synthesize(platform).stacks.filter(({ name }) => !name.includes('eu-west-1'));
    return [`# ${topology}, ${tier}`, ...stacks.map(contentsOf)].join('\n');
  });
  await expect(`${parts.join('\n\n')}\n`).toMatchFileSnapshot(`__snapshots__/${topology}.txt`);
});
