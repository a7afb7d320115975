import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { databaseArn, databaseIdentifier, stackName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { promotionCommands } from '../../lib/review/promotion.ts';
import { differences, resolveTemplate } from './resolve-template.ts';
import { spec } from './specs.ts';
import { resourcesOf, stackNamed, synthesize } from './synthesize.ts';

const { stacks } = synthesize(shipped);
const dataStack = (region: string) => stackNamed(stacks, stackName(shipped, region, 'data'));

describe.each(shipped.standbys.map((standby) => ({ standby, region: standby.region })))(
  'promoting $region',
  ({ standby }) => {
    const { template } = dataStack(standby.region);
    const asStandby = resolveTemplate(template, { RegionRole: 'standby' });
    const source = databaseArn(shipped, shipped.primary);

    test('changes the replication source of the database and nothing else', () => {
      expect(differences(asStandby, resolveTemplate(template, { RegionRole: 'primary' }))).toEqual([
        `Resources.Database1.Properties.SourceDBInstanceIdentifier: ${JSON.stringify(source)} -> undefined`,
      ]);
    });

    test('changes nothing at all after the RDS API has promoted, so that CloudFormation does not promote twice', () => {
      const external = resolveTemplate(template, { RegionRole: 'primary', DbPromotion: 'external' });
      expect(differences(asStandby, external)).toEqual([]);
    });

    test('states none of the properties that a replica inherits, because stating them would be a change', () => {
      const [database] = resourcesOf([dataStack(standby.region)], 'AWS::RDS::DBInstance');
      const inherited = [
        'Engine',
        'EngineVersion',
        'MasterUsername',
        'MasterUserPassword',
        'DBName',
        'StorageEncrypted',
        'AllocatedStorage',
      ];
      expect(Object.keys(database?.Properties ?? {}).filter((name) => inherited.includes(name))).toEqual([]);
    });

    test('follows the source by an ARN of the source’s own region, known before anything is deployed', () => {
      const [database] = resourcesOf([dataStack(standby.region)], 'AWS::RDS::DBInstance');
      expect(database?.Properties).toMatchObject({
        DBInstanceIdentifier: databaseIdentifier(shipped, standby),
        SourceRegion: 'us-east-1',
        SourceDBInstanceIdentifier: { 'Fn::If': ['Database1Replicates', source, { Ref: 'AWS::NoValue' }] },
      });
      expect(source).toMatch(/^arn:aws:rds:us-east-1:/);
    });

    test('starts as a standby', () => {
      expect(template.Parameters).toMatchObject({
        RegionRole: { Default: 'standby', AllowedValues: ['standby', 'primary'] },
        DbPromotion: { Default: 'stack', AllowedValues: ['stack', 'external'] },
      });
    });

    test('is told as one stack update that keeps the template and every other parameter', () => {
      const commands = promotionCommands(shipped, standby);
      const command = commands.by === 'stack' ? commands.cloudFormation.join(' ') : commands.by;
      expect(command).toContain('--use-previous-template');
      expect(command).toContain('--disable-rollback');
      expect(command).toContain('ParameterKey=RegionRole,ParameterValue=primary');
      for (const name of Object.keys(template.Parameters).filter((parameter) => parameter !== 'RegionRole')) {
        expect(command).toContain(`ParameterKey=${name},UsePreviousValue=true`);
      }
    });
  },
);

test('the role is a parameter of the data stacks and of no other stack', () => {
  const withRole = stacks.filter((stack) => 'RegionRole' in stack.template.Parameters).map((stack) => stack.name);
  expect(withRole.sort()).toEqual(shipped.regions.map(({ region }) => stackName(shipped, region, 'data')).sort());
});

test('the origin refuses to be made a standby, since RDS cannot demote', () => {
  expect(dataStack('us-east-1').template.Parameters['RegionRole']).toMatchObject({ AllowedValues: ['primary'] });
});

test('a promotion needs no IAM, no DNS and no load balancer: data stacks hold none of them', () => {
  for (const { region } of shipped.regions) {
    const types = Object.values(dataStack(region).template.Resources).map(({ Type }) => Type.split('::')[1]);
    expect(
      types.filter((service) => ['IAM', 'Route53', 'ElasticLoadBalancingV2', 'Lambda'].includes(service ?? '')),
    ).toEqual([]);
  }
});

describe('after a failover to us-west-2 and the rebuild of us-east-1', () => {
  const rebuilt = definePlatform(
    spec({
      databaseGeneration: { 'us-east-1': 2 },
      databaseSource: { 'us-east-1': { region: 'us-west-2', generation: 1 } },
    }),
  );
  const after = synthesize(rebuilt).stacks;
  const databaseOf = (region: string, id: string) =>
    stackNamed(after, stackName(rebuilt, region, 'data')).template.Resources[id]?.Properties;

  test('the old home holds a new replica under a new identifier, and the old database leaves the stack', () => {
    expect(databaseOf('us-east-1', 'Database1')).toBeUndefined();
    expect(databaseOf('us-east-1', 'Database2')).toMatchObject({
      DBInstanceIdentifier: 'acme-production-us-east-1-db-2',
      SourceRegion: 'us-west-2',
    });
    const { template } = stackNamed(after, stackName(rebuilt, 'us-east-1', 'data'));
    expect(differences(resolveTemplate(template, {}), resolveTemplate(template, { RegionRole: 'primary' }))).toEqual([
      'Resources.Database2.Properties.SourceDBInstanceIdentifier: "arn:aws:rds:us-west-2:222222222222:db:acme-production-us-west-2-db-1" -> undefined',
    ]);
  });

  test('the promoted database stays as it was rendered, but becomes Multi-AZ, copies its backups and has readers once others follow it', () => {
    const before = synthesize(definePlatform(spec())).stacks;
    const data = stackName(rebuilt, 'us-west-2', 'data');
    const changed = differences(
      stackNamed(before, data).template.Resources,
      stackNamed(after, data).template.Resources,
    );
    expect(changed.map((line) => line.split(':')[0])).toEqual([
      'Database1.Properties.MultiAZ',
      'Database1.Properties.AutomaticBackupReplicationKmsKeyId',
      'Database1.Properties.AutomaticBackupReplicationRegion',
      'Database1.Properties.AutomaticBackupReplicationRetentionPeriod',
      'SurroundingsLog2postgresqlFD72EA77',
      'SurroundingsLog2upgrade5179BA75',
      'ReadReplica1',
    ]);
  });
});
