/** What a database for a dump is made like: after the one in use and, when that is gone, after its stack. */
import { afterEach, describe, expect, it } from 'vitest';
import { databaseIdentifier, stackName } from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { databasePlan, newInstance } from '../../../runbooks/aws/new-instance.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { ownCalls, refusal, result, startWire, type Wire, type WireReply } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const platform = definePlatform(spec());
const { primary } = platform;
const surroundings = {
  DBSubnetGroupName: 'subnets',
  VpcSecurityGroupIds: ['sg-1'],
  DBParameterGroupName: 'parameters',
};

describe('when the database is gone', () => {
  let wire: Wire | undefined;
  let clients: AwsClients | undefined;
  afterEach(async () => {
    clients?.destroy();
    await wire?.close();
  });

  async function planOf(resources: WireReply, region = primary) {
    const rds = () => refusal('DBInstanceNotFound', 'gone', 404);
    wire = await startWire({ services: { rds, cloudformation: () => resources } });
    clients = new AwsClients(wire.access);
    return databasePlan(clients, platform, region, signal);
  }

  const resource = (type: string, id: string): string =>
    `<member><ResourceType>${type}</ResourceType><PhysicalResourceId>${id}</PhysicalResourceId></member>`;
  const described = (...resources: readonly string[]): WireReply =>
    result('DescribeStackResources', `<StackResources>${resources.join('')}</StackResources>`);

  it('it stands where the stack says, with the stack’s key; the policy of each book that restores is enough', async () => {
    const plan = await planOf(
      described(
        resource('AWS::KMS::Key', 'key-1'),
        resource('AWS::EC2::SecurityGroup', 'sg-1'),
        resource('AWS::RDS::DBSubnetGroup', 'subnets'),
        resource('AWS::RDS::DBParameterGroup', 'parameters'),
      ),
    );
    expect(plan).toEqual({ instance: undefined, surroundings, keyId: 'key-1' });
    expect(newInstance(platform, primary, plan)).toMatchObject({
      ...surroundings,
      KmsKeyId: 'key-1',
      EngineVersion: '18.6',
      DBInstanceClass: primary.databaseInstanceClass,
      AllocatedStorage: platform.tier.database.allocatedStorageGiB,
      StorageEncrypted: true,
      PubliclyAccessible: false,
    });
    const calls = wire === undefined ? [] : ownCalls(wire);
    expect(calls.map(({ action }) => action)).toEqual(['DescribeDBInstances', 'DescribeStackResources']);
    for (const book of ['backup-verify', 'database-restore', 'disaster-restore'] as const) {
      const policy = policyOf(book, platform, { claims: [], takeovers: [], journals: [] });
      expect(refusedCalls(policy, calls, platform.account), book).toEqual([]);
    }
  });

  it('a database that was brought along stands where its description says', async () => {
    const database = { identifier: 'theirs', securityGroupId: 'sg-1', subnetGroupName: 'subnets', secretArn: 'arn' };
    expect(await planOf(described(), { ...primary, database })).toEqual({
      instance: undefined,
      surroundings: { DBSubnetGroupName: 'subnets', VpcSecurityGroupIds: ['sg-1'] },
      keyId: undefined,
    });
  });

  it.each([
    ['lacks a part of it', described(resource('AWS::RDS::DBSubnetGroup', 'subnets'))],
    ['is gone, too', refusal('ValidationError', 'Stack does not exist')],
  ])('a stack that %s ends the restore: RDS would choose the account’s default network', async (_, resources) => {
    const stack = stackName(platform, primary.region, 'data');
    await expect(planOf(resources)).rejects.toThrow(
      `${databaseIdentifier(platform, primary)} is gone, and ${stack} does not say where it stood: npx cdk deploy ${stack}, then resume`,
    );
  });
});

it('is made like the one in use, and stands alone and unprotected until it takes its place', () => {
  const instance = {
    EngineVersion: '18.4',
    DBInstanceClass: 'db.r6g.4xlarge',
    AllocatedStorage: 800,
    MaxAllocatedStorage: 2_000,
    StorageType: 'gp3',
    Iops: 12_000,
    StorageThroughput: 500,
    StorageEncrypted: true,
    BackupRetentionPeriod: 35,
    PreferredBackupWindow: '03:00-04:00',
    PreferredMaintenanceWindow: 'sun:04:30-sun:05:30',
    CACertificateIdentifier: 'rds-ca-rsa2048-g1',
    PerformanceInsightsKMSKeyId: 'key-1',
    AutoMinorVersionUpgrade: false,
  };
  const more = {
    MultiAZ: true,
    DeletionProtection: true,
    EnabledCloudwatchLogsExports: ['postgresql'],
    PerformanceInsightsEnabled: true,
  };
  expect(newInstance(platform, primary, { instance: { ...instance, ...more }, surroundings, keyId: 'key-1' })).toEqual({
    ...instance,
    ...surroundings,
    Engine: 'postgres',
    KmsKeyId: 'key-1',
    EnableCloudwatchLogsExports: ['postgresql'],
    EnablePerformanceInsights: true,
    CopyTagsToSnapshot: true,
    PubliclyAccessible: false,
    MultiAZ: false,
    DeletionProtection: false,
  });
});

it.each([
  ['gp3', 399, undefined],
  ['gp3', 400, 3_000],
  ['io2', 100, 3_000],
])(
  '%s storage of %i GiB is asked for with %s IOPS: RDS takes none below 400 GiB of gp3',
  (StorageType, AllocatedStorage, Iops) => {
    const instance = { StorageType, AllocatedStorage, Iops: 3_000, StorageThroughput: 125 };
    expect(newInstance(platform, primary, { instance, surroundings, keyId: undefined })).toMatchObject({ Iops });
  },
);
