import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { dnsStackName, regionalStackKinds, stackName } from '../../lib/platform/names.ts';
import { stackNamed, synthesize } from './synthesize.ts';

const { stacks } = synthesize(shipped);
const templateOf = (name: string): string => `${JSON.stringify(stackNamed(stacks, name).template, null, 2)}\n`;

/** The primary's stacks, the one stack in which a standby differs, and the global one. */
const recorded = [
  ...regionalStackKinds.map((kind) => stackName(shipped, shipped.primary.region, kind)),
  stackName(shipped, 'us-west-2', 'data'),
  dnsStackName(shipped),
];

describe('the template of', () => {
  test.each(recorded)('%s is the recorded one', async (name) => {
    await expect(templateOf(name)).toMatchFileSnapshot(`__snapshots__/${name}.json`);
  });
});

/** A template without what must differ between regions: names, ranges, and the account of AWS that writes access logs. */
const anonymous = (region: string, kind: (typeof regionalStackKinds)[number]): string => {
  const range = shipped.regions
    .find((candidate) => candidate.region === region)
    ?.cidr.split('.')
    .slice(0, 2)
    .join('.');
  return templateOf(stackName(shipped, region, kind))
    .replaceAll(region, 'REGION')
    .replaceAll(`"${range}.`, '"RANGE.')
    .replaceAll(new RegExp(`arn:aws:iam::(?!${shipped.account})\\d{12}:root`, 'g'), 'AWS');
};

/** Stacks in which the primary differs: its database is the origin, its key unseals Vault, its backups are taken. */
const ofRole: readonly string[] = ['storage', 'data', 'monitoring', 'backup', 'resilience'];

describe('standbys are built alike', () => {
  // Each names the others: where copies go, which link is cut.
  const naming: readonly string[] = ['storage', 'cluster', 'ingress', 'monitoring', 'resilience'];

  test.each(regionalStackKinds.filter((kind) => !naming.includes(kind)))(
    '%s of eu-west-1 is that of us-west-2 but for names and ranges',
    (kind) => {
      expect(anonymous('eu-west-1', kind)).toBe(anonymous('us-west-2', kind));
    },
  );

  test.each(regionalStackKinds.filter((kind) => !naming.includes(kind) && !ofRole.includes(kind)))(
    '%s of a standby is that of the primary',
    (kind) => {
      expect(anonymous('us-west-2', kind)).toBe(anonymous('us-east-1', kind));
    },
  );

  test.each(naming)('%s of a standby has the same resources as that of another', (kind) => {
    const typesIn = (region: string): string[] =>
      Object.values(stackNamed(stacks, `holdfast-production-${region}-${kind}`).template.Resources)
        .map(({ Type }) => Type)
        .sort();
    expect(typesIn('eu-west-1')).toEqual(typesIn('us-west-2'));
  });
});
