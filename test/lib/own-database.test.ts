import { describe, expect, test } from 'vitest';
import { awsAlarms } from '../../lib/alerts/aws-alarms.ts';
import { stackName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { review } from '../../lib/review/review.ts';
import { reviewAsText } from '../../lib/review/text.ts';
import { reviewWidth } from '../../lib/review/wrap.ts';
import { differences, resolveTemplate } from './resolve-template.ts';
import { brought, broughtDatabase, specOf } from './specs.ts';
import { resourcesOf, stackNamed, synthesize } from './synthesize.ts';

type RegionChanges = Partial<PlatformSpec['regions'][number]>;

/** Two regions; `changes` by their place in the list. */
const withRegions = (...changes: readonly RegionChanges[]): PlatformSpec => {
  const spec = specOf('high', 'active-passive', 2);
  return { ...spec, regions: spec.regions.map((region, index) => ({ ...region, ...changes[index] })) };
};

const own = (region: string): RegionChanges => ({ network: brought.network, database: broughtDatabase(region) });

const textOf = (spec: PlatformSpec): string => {
  const platform = definePlatform(spec);
  const { stacks } = synthesize(platform);
  const background = { today: '2026-11-21', evidence: [], changes: undefined };
  return reviewAsText(review(platform, { stacks, findings: [], exceptions: [] }, [], background), (title) => title);
};

describe('a database that takes writes and was brought along', () => {
  const spec = withRegions(own('us-east-1'));
  const platform = definePlatform(spec);
  const { stacks, missing } = synthesize(platform);
  const inPrimary = stacks.filter(({ region }) => region === 'us-east-1');
  const arn = 'arn:aws:rds:us-east-1:222222222222:db:ledger';

  test('is made by no stack, and nothing is looked up', () => {
    expect(stacks.map(({ name }) => name)).not.toContain(stackName(platform, 'us-east-1', 'data'));
    expect(resourcesOf(inPrimary, 'AWS::RDS::DBInstance')).toEqual([]);
    expect(missing).toEqual([]);
  });

  test('is followed by the standby’s replica, whose promotion changes nothing but the source', () => {
    const { template } = stackNamed(stacks, stackName(platform, 'us-west-2', 'data'));
    expect(differences(resolveTemplate(template, {}), resolveTemplate(template, { RegionRole: 'primary' }))).toEqual([
      `Resources.Database1.Properties.SourceDBInstanceIdentifier: "${arn}" -> undefined`,
    ]);
  });

  test('is opened to the cluster, backed up, tried in restores, drilled and watched, all by its names', () => {
    const rules = resourcesOf(inPrimary, 'AWS::EC2::SecurityGroupIngress').map(({ Properties }) => Properties);
    expect(rules).toContainEqual(expect.objectContaining({ GroupId: 'sg-0fedcba9876543210', FromPort: 5432 }));
    expect(JSON.stringify(resourcesOf(inPrimary, 'AWS::Backup::BackupSelection'))).toContain(arn);
    expect(JSON.stringify(resourcesOf(inPrimary, 'AWS::Backup::RestoreTestingSelection'))).toContain(
      '"dbSubnetGroupName":"stores"',
    );
    expect(JSON.stringify(resourcesOf(inPrimary, 'AWS::FIS::ExperimentTemplate'))).toContain(arn);
    const alarms = awsAlarms(platform, platform.primary, { loadBalancer: '', targetGroup: '', certificateArn: '' });
    const identifiers = alarms.flatMap(({ metrics }) =>
      metrics.flatMap(({ dimensions }) => dimensions['DBInstanceIdentifier'] ?? []),
    );
    expect(new Set(identifiers)).toEqual(new Set(['ledger']));
  });

  test('lets gateways read its secret in its region, and the copy of it in the standby', () => {
    const policiesOf = (region: string): string =>
      JSON.stringify(
        resourcesOf(stacks, 'AWS::IAM::Policy').filter(
          ({ stack }) => stack.name === stackName(platform, region, 'cluster'),
        ),
      );
    const { secretArn, secretKeyArn } = broughtDatabase('us-east-1');
    expect(policiesOf('us-east-1')).toContain(secretArn);
    expect(policiesOf('us-east-1')).toContain(secretKeyArn);
    expect(policiesOf('us-west-2')).toContain(secretArn.replace('us-east-1', 'us-west-2'));
    expect(policiesOf('us-west-2')).not.toContain('acme-production/database');
  });

  test('is shown with what its owner has to see to, and not as if a template showed it', () => {
    const text = textOf(spec);
    expect(text.split('\n').filter((line) => line.length > reviewWidth)).toEqual([]);
    expect(text).toMatch(/Brought along[^]*ledger: PostgreSQL 18, encrypted[^]*Multi-AZ;[^]*kept 14 days/);
    expect(text).toMatch(/us-east-1 +owner's +owner's +owner's +owner's +owner's +3/);
    expect(text).not.toContain('undefined');
  });
});

describe('a replica that was brought along', () => {
  const spec = withRegions({}, own('us-west-2'));
  const platform = definePlatform(spec);
  const { stacks } = synthesize(platform);

  test('has no stack and so no parameter that could promote it; the RDS API does, and the review says how', () => {
    const withRole = stacks.filter(({ template }) => 'RegionRole' in template.Parameters).map(({ name }) => name);
    expect(withRole).toEqual([stackName(platform, 'us-east-1', 'data')]);
    const text = textOf(spec);
    expect(text).toMatch(
      /Promote us-west-2, whose database no stack holds\n.*region-failover.*\n.*By hand.*\n +aws rds promote-read-replica --region us-west-2 --db-instance-identifier ledger/,
    );
    expect(text).toMatch(/a replica of\s+arn:aws:rds:us-east-1:222222222222:db:acme-production-us-east-1-db-1/);
    expect(text).not.toContain('npx cdk deploy acme-production-us-west-2-data');
  });

  test('ticks no line of the checklist: only a report shows what it follows', () => {
    expect(textOf(spec)).toMatch(/\[ \] Database replication verified\n +ledger in us-west-2, brought along/);
  });
});

test('after a failover from a database that was brought along, its successors are ours and it keeps its name as a source', () => {
  const platform = definePlatform({
    ...withRegions({}, {}),
    databaseGeneration: { 'us-east-1': 2 },
    databaseSource: {
      'us-east-1': { region: 'us-west-2', generation: 1 },
      'us-west-2': { region: 'us-east-1', generation: 1, identifier: 'ledger' },
    },
  });
  const databases = resourcesOf(synthesize(platform).stacks, 'AWS::RDS::DBInstance');
  const sourceOf = (identifier: string): string =>
    JSON.stringify(
      databases.find(({ Properties }) => Properties['DBInstanceIdentifier'] === identifier)?.Properties[
        'SourceDBInstanceIdentifier'
      ],
    );
  expect(sourceOf('acme-production-us-west-2-db-1')).toContain('arn:aws:rds:us-east-1:222222222222:db:ledger"');
  expect(sourceOf('acme-production-us-east-1-db-2')).toContain(':db:acme-production-us-west-2-db-1"');
});

test('all that is wrong with a database that was brought along is said at once', () => {
  const database = {
    identifier: 'Ledger--1',
    securityGroupId: 'group',
    subnetGroupName: '',
    secretArn: 'arn:aws:secretsmanager:us-west-2:222222222222:secret:ledger',
    secretKeyArn: 'alias/ledger',
  };
  expect(() => definePlatform(withRegions({ database, databaseInstanceClass: 'db.r6g.large' }))).toThrow(
    /identifier: "Ledger--1"[^]*securityGroupId: "group"[^]*subnetGroupName: ""[^]*secretArn: [^]*secretKeyArn: [^]*name it in regions\[0\]\.network[^]*databaseInstanceClass: /,
  );
});
