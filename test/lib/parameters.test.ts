/** What each parameter of a stack changes, and that no value of one replaces what holds data. */
import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { differences, resolveTemplate } from './resolve-template.ts';
import { specOf } from './specs.ts';
import { type Stack, synthesize, type Template } from './synthesize.ts';

const platforms = {
  'standard, one region': definePlatform(specOf('standard', 'single-region')),
  'the shipped one': shipped,
  'critical, active-passive': definePlatform(specOf('critical', 'active-passive')),
  'high, active-active': definePlatform(specOf('high', 'active-active')),
};

/** Properties by parameter; `+` = the resource comes and goes. An ending `*` stands for the names of regions. */
const changed: Readonly<Record<string, readonly string[]>> = {
  RegionRole: ['AWS::RDS::DBInstance SourceDBInstanceIdentifier'],
  // As long as the region is a standby it decides nothing.
  DbPromotion: [],
  FailbackPercent: ['AWS::Route53::RecordSet Weight'],
  CrossRegionCopies: [
    'AWS::RDS::DBInstance AutomaticBackupReplicationKmsKeyId',
    'AWS::RDS::DBInstance AutomaticBackupReplicationRegion',
    'AWS::RDS::DBInstance AutomaticBackupReplicationRetentionPeriod',
    'AWS::S3::Bucket ReplicationConfiguration',
  ],
  DesiredCapacity: ['AWS::EC2::CapacityReservation +'],
  VaultKeyArn: ['AWS::KMS::Alias +', 'AWS::KMS::ReplicaKey +'],
  'EndpointService*': ['AWS::EC2::VPCEndpoint +', 'AWS::Route53::RecordSet +'],
};

const other = (name: string, { Default: given, AllowedValues: values }: Template['Parameters'][string]): string =>
  values?.find((value) => value !== given) ?? (name === 'DesiredCapacity' ? '2' : 'another');

const resourcesFor = ({ template }: Stack, values: Readonly<Record<string, string>>): unknown => {
  const resolved = resolveTemplate(template, values);
  return typeof resolved === 'object' && resolved !== null && 'Resources' in resolved ? resolved.Resources : undefined;
};

function changesOf(stack: Stack, name: string): string[] {
  const parameter = stack.template.Parameters[name];
  if (parameter === undefined) return [];
  const lines = differences(resourcesFor(stack, {}), resourcesFor(stack, { [name]: other(name, parameter) }));
  return lines.map((line) => {
    const [id = '', , property = '+'] = (line.split(': ')[0] ?? '').split('.');
    return `${stack.template.Resources[id]?.Type} ${property}`;
  });
}

describe.each(Object.entries(platforms))('%s', (_, platform) => {
  const { stacks } = synthesize(platform);
  const withParameters = stacks.filter(({ template }) => Object.keys(template.Parameters).length > 0);

  test('every value of a parameter changes what it is for, and nothing else', () => {
    expect(withParameters).not.toEqual([]);
    for (const stack of withParameters) {
      for (const name of Object.keys(stack.template.Parameters)) {
        const known = Object.keys(changed).find((one) =>
          one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one,
        );
        if (known === undefined) throw new Error(`${stack.name} has a parameter ${name} that this test does not know`);
        const unexpected = changesOf(stack, name).filter((change) => changed[known]?.includes(change) !== true);
        expect(unexpected, `${stack.name} ${name}`).toEqual([]);
      }
    }
  });

  test('promoted by the API or by the stack, a data stack has the same resources', () => {
    for (const stack of withParameters.filter(({ template }) => 'RegionRole' in template.Parameters)) {
      const { AllowedValues: roles = [] } = stack.template.Parameters['RegionRole'] ?? {};
      if (!roles.includes('standby')) continue;
      expect([...new Set(changesOf(stack, 'RegionRole'))], stack.name).toEqual(changed['RegionRole']);
      const external = resourcesFor(stack, { RegionRole: 'primary', DbPromotion: 'external' });
      expect(differences(resourcesFor(stack, { RegionRole: 'standby' }), external), stack.name).toEqual([]);
    }
  });
});

test('each of them has an effect somewhere', () => {
  const seen = Object.values(platforms)
    .flatMap((platform) => synthesize(platform).stacks)
    .flatMap((stack) => Object.keys(stack.template.Parameters).flatMap((name) => changesOf(stack, name)));
  expect(
    Object.values(changed)
      .flat()
      .filter((change) => !seen.includes(change)),
  ).toEqual([]);
});
