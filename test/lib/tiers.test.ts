import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { regionalStackKinds } from '../../lib/platform/names.ts';
import { definePlatform, PlatformError } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { tiers } from '../../lib/platform/tiers.ts';
import { assemble } from '../../lib/review/assemble.ts';
import type { SynthesizedStack } from '../../lib/review/template.ts';
import { brought, broughtDatabase, spec, specOf, tierNames, topologyNames } from './specs.ts';
import { context } from './synthesize.ts';

/** All nine; a tier that survives a lost region needs a reason to be in one. */
const combinations = tierNames.flatMap((tier) =>
  topologyNames.map((topology) => ({
    tier,
    topology,
    breaksPromise: topology === 'single-region' && tiers[tier].regionsAtLeast > 1,
  })),
);
const impossible = combinations.filter(({ breaksPromise }) => breaksPromise);

afterEach(() => {
  vi.unstubAllEnvs();
});

/** What a platform may look like beside its tier and topology. */
const variants: Readonly<Record<string, PlatformSpec>> = {
  'a zone that does not exist yet': spec({ hostedZone: { name: 'acme.example' } }),
  'a rebuilt old home': spec({
    databaseGeneration: { 'us-east-1': 2 },
    databaseSource: { 'us-east-1': { region: 'us-west-2', generation: 1 } },
  }),
  'administrators and a reachable Kubernetes API': spec({
    cluster: {
      adminRoleArns: ['arn:aws:iam::222222222222:role/Admin'],
      publicApiCidrs: ['198.51.100.0/24'],
      addons: ['vault', 'backup', 'telemetry', 'drills'],
    },
  }),
  'a network and a certificate of one’s own': {
    ...specOf('standard', 'single-region'),
    regions: [
      {
        region: 'us-east-1',
        role: 'primary',
        zones: ['a', 'b'],
        cidr: '10.0.0.0/16',
        databaseInstanceClass: 'db.r6g.xlarge',
        cacheNodeType: 'cache.r7g.xlarge',
        certificateArn: 'arn:aws:acm:us-east-1:222222222222:certificate/00000000-0000-0000-0000-000000000000',
        network: {
          vpcId: 'vpc-0123456789abcdef0',
          publicSubnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
          privateSubnetIds: ['subnet-0123456789abcdef2', 'subnet-0123456789abcdef3'],
          isolatedSubnetIds: ['subnet-0123456789abcdef4', 'subnet-0123456789abcdef5'],
        },
      },
    ],
  },
  'a cluster of one’s own': {
    ...specOf('critical', 'single-region'),
    regionLoss: { optOutReason: 'A trial.' },
    cluster: { addons: ['drills', 'telemetry'] },
    regions: specOf('critical', 'single-region').regions.map((region) => ({ ...region, ...brought })),
  },
  'databases of one’s own in both regions': {
    ...specOf('high', 'active-passive', 2),
    regions: specOf('high', 'active-passive', 2).regions.map((region) => ({
      ...region,
      network: brought.network,
      database: broughtDatabase(region.region),
    })),
  },
  'one cache over all regions': { ...specOf('high', 'active-passive'), globalCache: true },
  'accounts of their own for names, regions and witness': {
    ...specOf('critical', 'active-passive', 2),
    witnessAccount: '444444444444',
    isolatedVaultArns: { 'us-east-1': 'arn:aws:backup:us-east-1:555555555555:backup-vault:isolated' },
    regions: specOf('critical', 'active-passive', 2).regions.map((region) => ({
      ...region,
      account: '333333333333',
      certificateArn: `arn:aws:acm:${region.region}:333333333333:certificate/00000000-0000-0000-0000-000000000000`,
    })),
    witnessRegion: 'us-east-2',
    regionSwitchPlan: true,
    bootstrapQualifier: 'acme',
    delivery: { subjects: ['repo:acme/gateway:environment:production'] },
    operations: { alertEmails: ['oncall@acme.example'], runbookUrl: 'https://wiki.acme.example/holdfast' },
  },
};

const described = [
  ...combinations.map(({ tier, topology, breaksPromise }) => ({
    name: `tier ${tier}, ${topology}`,
    description: { ...specOf(tier, topology), ...(breaksPromise && { regionLoss: { optOutReason: 'A trial.' } }) },
  })),
  ...Object.entries(variants).map(([name, description]) => ({ name, description })),
];

/** What each combination consists of; the second standby is built like the first, which another test says. */
const contents = new Map<string, string[]>();

const contentsOf = ({ name, template }: SynthesizedStack): string => {
  const counts = new Map<string, number>();
  for (const { Type } of Object.values(template.Resources)) counts.set(Type, (counts.get(Type) ?? 0) + 1);
  const types = [...counts].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `${name}: ${types.map(([type, count]) => `${type.replace('AWS::', '')} ${count}`).join(', ')}`;
};

describe.each(described)('$name', ({ name, description }) => {
  test('breaks no rule of CloudFormation or AWS Solutions', () => {
    vi.stubEnv('CDK_VALIDATION', 'true');
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
    try {
      const platform = definePlatform(description);
      const { findings, stacks } = assemble(platform, { directory, context });
      expect(findings).toEqual([]);
      const recorded = stacks.filter((stack) => !stack.name.includes('eu-west-1')).map(contentsOf);
      contents.set(name, recorded.toSorted());
      const kept = description.regions.filter(({ database }) => database !== undefined).length;
      const regional = regionalStackKinds.length * description.regions.length - kept;
      const global = [platform.regionSwitchPlan, platform.delivery !== undefined].filter(Boolean).length;
      const extra = platform.satellites.length + global;
      expect(stacks).toHaveLength(1 + regional + extra);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

test.each(topologyNames)('%s consists of the recorded stacks and resources in every tier', async (topology) => {
  const parts = tierNames.map((tier) =>
    [`# ${topology}, ${tier}`, ...(contents.get(`tier ${tier}, ${topology}`) ?? ['not synthesized'])].join('\n'),
  );
  await expect(`${parts.join('\n\n')}\n`).toMatchFileSnapshot(`__snapshots__/${topology}.txt`);
});

test.each(impossible)(
  'tier $tier in a single region is refused, because it could not keep its promise',
  ({ tier, topology }) => {
    expect(() => definePlatform(specOf(tier, topology))).toThrow(PlatformError);
  },
);
