import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import shipped from '../../holdfast.config.ts';
import {
  bucketName,
  kubernetes,
  objectKeys,
  repositoryName,
  satelliteStackName,
  stackName,
  vaultKeyAlias,
} from '../../lib/platform/names.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import { resolveTemplate } from './resolve-template.ts';
import { specOf } from './specs.ts';
import { resourcesOf, stackNamed, synthesize } from './synthesize.ts';

const { stacks } = synthesize(shipped);
const storageOf = (region: string) => stackNamed(stacks, stackName(shipped, region, 'storage'));
const [east, west] = shipped.regions.map((region) => ({ ...region, stack: storageOf(region.region) }));
if (east === undefined || west === undefined) throw new Error('the shipped platform has two regions');

const bucketsIn = (stack: (typeof stacks)[number]) =>
  new Map(resourcesOf([stack], 'AWS::S3::Bucket').map((bucket) => [String(bucket.Properties['BucketName']), bucket]));

describe('the buckets of a region', () => {
  const buckets = bucketsIn(west.stack);

  test('are private, versioned, encrypted and logged, and outlive their stack', () => {
    const names = ['config', 'models', 'backup', 'outbox', 'journal', 'claim'] as const;
    for (const name of names.map((kind) => bucketName(shipped, west, kind))) {
      expect(buckets.get(name), name).toMatchObject({
        DeletionPolicy: 'Retain',
        Properties: {
          VersioningConfiguration: { Status: 'Enabled' },
          BucketEncryption: {
            ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } }],
          },
          LoggingConfiguration: expect.anything(),
          PublicAccessBlockConfiguration: {
            BlockPublicAcls: true,
            BlockPublicPolicy: true,
            IgnorePublicAcls: true,
            RestrictPublicBuckets: true,
          },
        },
      });
    }
  });

  test('are copied to the same bucket of every other region within a promised time, once those stand', () => {
    const on = JSON.stringify(resolveTemplate(west.stack.template, { CrossRegionCopies: 'on' }));
    const off = JSON.stringify(resolveTemplate(west.stack.template, { CrossRegionCopies: 'off' }));
    for (const kind of ['config', 'models', 'backup', 'outbox', 'journal'] as const) {
      for (const other of shipped.regions.filter(({ region }) => region !== west.region)) {
        expect(on).toContain(`:s3:::${bucketName(shipped, other, kind)}"`);
      }
    }
    expect(on.split('"ReplicationTime":{"Status":"Enabled"').length - 1).toBe(5 * 2);
    expect(off).not.toContain('ReplicationTime');
    expect(west.stack.template.Parameters['CrossRegionCopies']).toMatchObject({ Default: 'off' });
  });

  test('the claim is never copied: a copy would pass the comparison that it lives by', () => {
    const claim = buckets.get(bucketName(shipped, west, 'claim'));
    expect(claim?.Properties).not.toHaveProperty('ReplicationConfiguration');
    for (const { template } of stacks) {
      const replicated = JSON.stringify(template).match(/"Bucket":\{"Fn::Join":\["",\["arn:"[^\]]*-claim-/g);
      expect(replicated).toBeNull();
    }
  });

  test('the takeover object, and nothing else of any bucket, may be read by anyone', () => {
    const open = resourcesOf(stacks, 'AWS::S3::BucketPolicy').flatMap(({ Properties }) => {
      const { Statement } = Object(Properties['PolicyDocument']);
      return Array.isArray(Statement)
        ? Statement.filter(({ Effect, Principal }) => Effect === 'Allow' && Object(Principal).AWS === '*')
        : [];
    });
    expect(open).toHaveLength(shipped.regions.length);
    for (const statement of open) {
      expect(statement).toMatchObject({ Action: 's3:GetObject' });
      expect(JSON.stringify(statement.Resource)).toMatch(new RegExp(`/${objectKeys.takeover}"\\]\\]`));
    }
  });

  test('a backup is only ever replaced: no rule by age takes the last good one, replaced ones stay for 30 days', () => {
    const rules = Object(buckets.get(bucketName(shipped, west, 'backup'))?.Properties['LifecycleConfiguration']).Rules;
    expect(rules).toEqual([
      expect.objectContaining({ NoncurrentVersionExpiration: { NoncurrentDays: 30 }, Status: 'Enabled' }),
    ]);
    expect(JSON.stringify(rules)).not.toContain('ExpirationInDays');
  });
});

const claimBuckets = (platform: Platform): string[] =>
  resourcesOf(synthesize(platform).stacks, 'AWS::S3::Bucket')
    .map(({ Properties }) => String(Properties['BucketName']))
    .filter((name) => name.includes('-claim-'))
    .sort();

describe('the claim lives', () => {
  test('in three places where there are three regions', () => {
    expect(claimBuckets(shipped)).toHaveLength(3);
  });

  test('in the standby alone where there are two: a lost primary must not take it along', () => {
    expect(claimBuckets(definePlatform(specOf('high', 'active-passive', 2)))).toEqual([
      'acme-production-us-west-2-claim-222222222222',
    ]);
  });

  test('in a witness region too, which holds nothing else', () => {
    const platform = definePlatform(specOf('critical', 'active-passive', 2));
    expect(claimBuckets(platform)).toEqual([
      'acme-production-us-east-1-claim-222222222222',
      'acme-production-us-east-2-claim-222222222222',
      'acme-production-us-west-2-claim-222222222222',
    ]);
    const witness = stackNamed(synthesize(platform).stacks, satelliteStackName(platform, 'us-east-2'));
    expect(resourcesOf([witness], 'AWS::S3::Bucket')).toHaveLength(2);
    expect(resourcesOf([witness], 'AWS::Backup::BackupVault')).toEqual([]);
  });

  test('nowhere with a single region, whose data is copied to a partner under the same law', () => {
    const platform = definePlatform(specOf('standard', 'single-region'));
    expect(claimBuckets(platform)).toEqual([]);
    const partner = stackNamed(synthesize(platform).stacks, satelliteStackName(platform, 'us-west-2'));
    expect(resourcesOf([partner], 'AWS::Backup::BackupVault')).toHaveLength(1);
    expect(
      bucketsIn(partner).has(bucketName(platform, { region: 'us-west-2', account: platform.account }, 'backup')),
    ).toBe(true);
  });
});

test('every image reaches the registry of every region, whichever it is pushed to', () => {
  for (const { region } of shipped.regions) {
    const stack = storageOf(region);
    expect(resourcesOf([stack], 'AWS::ECR::Repository')[0]?.Properties).toMatchObject({
      RepositoryName: repositoryName(shipped),
      ImageTagMutability: 'IMMUTABLE',
      ImageScanningConfiguration: { ScanOnPush: true },
    });
    const [copies] = resourcesOf([stack], 'AWS::ECR::ReplicationConfiguration');
    const destinations = JSON.stringify(copies?.Properties);
    for (const other of shipped.regions)
      expect(destinations.includes(`"${other.region}"`)).toBe(other.region !== region);
  }
});

test('Vault is unsealed by copies of one key, so that a snapshot opens in another region', () => {
  expect(
    resourcesOf([east.stack], 'AWS::KMS::Key').map(({ Properties }) => Properties['MultiRegion'] ?? false),
  ).toContain(true);
  expect(resourcesOf([west.stack], 'AWS::KMS::ReplicaKey')[0]?.Properties).toMatchObject({
    PrimaryKeyArn: { Ref: 'VaultKeyArn' },
  });
  const [alias] = resourcesOf([west.stack], 'AWS::KMS::Alias').filter(
    ({ Properties }) => Properties['AliasName'] === vaultKeyAlias(shipped),
  );
  expect(alias).toBeDefined();
});

describe('pods may do', () => {
  const cluster = stackNamed(stacks, stackName(shipped, west.region, 'cluster'));
  const policyOf = (serviceAccount: string): string => {
    const found = resourcesOf([cluster], 'AWS::IAM::Policy').find(({ id }) =>
      id.startsWith(`Identity${serviceAccount.replaceAll('-', '')}`),
    );
    return JSON.stringify(found?.Properties['PolicyDocument']);
  };

  test('what their service account needs: one identity for each that calls AWS', () => {
    const accounts = resourcesOf([cluster], 'AWS::EKS::PodIdentityAssociation').map(({ Properties }) =>
      String(Properties['ServiceAccount']),
    );
    expect(accounts.sort()).toEqual(
      [
        kubernetes.gatewayServiceAccount,
        kubernetes.vault,
        kubernetes.vaultSnapshot,
        kubernetes.databaseBackup,
        kubernetes.configurationBackup,
        kubernetes.otelCollector,
        kubernetes.regionWatch,
      ].sort(),
    );
  });

  test.each([
    [kubernetes.vaultSnapshot, 'vault'],
    [kubernetes.databaseBackup, 'postgresql'],
    [kubernetes.configurationBackup, 'configuration'],
  ])('%s writes to its own folder of the backup bucket and reads nothing', (serviceAccount, folder) => {
    expect(policyOf(serviceAccount)).toContain(`arn:aws:s3:::${bucketName(shipped, west, 'backup')}/${folder}/*`);
    expect(policyOf(serviceAccount)).not.toContain('s3:Get');
    expect(policyOf(serviceAccount)).not.toContain('s3:Delete');
  });

  test('the gateway reads its own secrets, swaps the claim wherever it lives, and deletes nothing', () => {
    const policy = policyOf(kubernetes.gatewayServiceAccount);
    expect(policy).toContain('secret:holdfast-production/database-??????');
    for (const region of shipped.claimRegions) {
      expect(policy).toContain(
        `${bucketName(shipped, { region, account: shipped.account }, 'claim')}/${objectKeys.claim}`,
      );
    }
    expect(policy).not.toMatch(/Delete|takeover/);
  });

  test('the gateway sees that a claim is missing, as it is in a bucket that was made anew, and lists nothing else', () => {
    const found = resourcesOf([cluster], 'AWS::IAM::Policy').find(({ id }) => id.startsWith('Identitygateway'));
    const { Statement } = z
      .object({ Statement: z.array(z.object({ Action: z.unknown(), Resource: z.unknown() })) })
      .parse(found?.Properties['PolicyDocument']);
    const listed = Statement.filter(({ Action }) => Action === 's3:ListBucket').flatMap(({ Resource }) => Resource);
    const claims = shipped.claimRegions.map(
      (region) => `arn:aws:s3:::${bucketName(shipped, { region, account: shipped.account }, 'claim')}`,
    );
    expect(listed).toEqual(claims.toSorted());
  });
});
