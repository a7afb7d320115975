/** The policies that are printed for operators, as IAM and S3 take them. */
import { describe, expect, it } from 'vitest';
import { bucketsOf } from '../../../bin/region/buckets.ts';
import { bucketName, databaseArn, databaseIdentifier } from '../../../lib/platform/names.ts';
import { archivePlace } from '../../../lib/platform/places.ts';
import { definePlatform, type Platform } from '../../../lib/platform/platform.ts';
import { asideName } from '../../../runbooks/aws/aside-name.ts';
import { awsBooks } from '../../../runbooks/aws/aws-world.ts';
import { type Policy, policyOf, readinessPolicy } from '../../../runbooks/aws/policy.ts';
import type { RunbookId } from '../../../runbooks/catalog.ts';
import { brought, broughtDatabase, spec, specOf } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import type { WireCall } from '../../support/aws/wire.ts';

const platforms = {
  'three regions': definePlatform(specOf('critical', 'active-passive')),
  'two regions and a witness': definePlatform(specOf('critical', 'active-active', 2)),
  'one region': definePlatform(specOf('standard', 'single-region')),
};

const policy = (id: RunbookId, platform: Platform): Policy => {
  const journals = platform.regions.map((region) => bucketName(platform, region, 'journal'));
  const found = policyOf(id, platform, { ...bucketsOf(platform), journals });
  if (found === undefined) throw new Error(`no policy for ${id}`);
  return found;
};

const nothing = new URLSearchParams();
const call = { keyId: '', region: 'us-west-2', method: '', path: '/', query: nothing, fields: nothing, body: '' };
const s3 = (action: string, bucket: string, key = ''): WireCall => ({
  ...call,
  service: 's3',
  action,
  path: `/${bucket}/${key}`,
});
const rename = (name: string, to: string, region: string): WireCall => ({
  ...call,
  service: 'rds',
  region,
  action: 'ModifyDBInstance',
  fields: new URLSearchParams({ DBInstanceIdentifier: name, NewDBInstanceIdentifier: to }),
});

describe.each(Object.entries(platforms))('for %s', (_, platform) => {
  it.each(awsBooks)(
    '%s: no statement is about nothing, none has the name of another, and a role takes it whole',
    (id) => {
      const { Statement } = policy(id, platform);
      for (const { Sid, Resource } of Statement) expect(Resource, Sid).not.toEqual([]);
      expect(new Set(Statement.map(({ Sid }) => Sid)).size).toBe(Statement.length);
      // The longest that IAM takes for a role's own policies; blanks are not counted.
      expect(JSON.stringify(policy(id, platform)).length).toBeLessThan(10_240);
    },
  );

  it('whoever may read an object may list its bucket: S3 refuses everybody else what is only missing', () => {
    const policies = [...awsBooks.map((id) => policy(id, platform)), readiness(platform)];
    for (const { Statement } of policies) {
      const listed = Statement.flatMap(({ Action, Resource }) => (Action.includes('s3:ListBucket') ? Resource : []));
      const read = Statement.flatMap(({ Action, Resource }) => (Action.includes('s3:GetObject') ? Resource : []))
        // CloudFormation reads these, which were put there a moment before.
        .filter((resource) => !resource.includes('/runs/templates/'));
      expect(read.map((resource) => resource.split('/')[0]).filter((bucket) => !listed.includes(bucket ?? ''))).toEqual(
        [],
      );
    }
  });
});

const readiness = (platform: Platform): Policy => readinessPolicy(platform, { ...bucketsOf(platform), journals: [] });

it.each(['database-restore', 'disaster-restore'] as const)(
  '%s may go through the archives of spend of every region, and change nothing in them',
  (id) => {
    const platform = platforms['three regions'];
    for (const region of platform.regions) {
      const bucket = archivePlace(platform, region)?.bucket ?? '';
      expect(bucket).toContain('-outbox-');
      const made = policy(id, platform);
      expect(refusedCalls(made, [s3('ListBucket', bucket), s3('GetObject', bucket, 'a/b')], platform.account)).toEqual(
        [],
      );
      expect(refusedCalls(made, [s3('PutObject', bucket, 'a/b')], platform.account)).toHaveLength(1);
    }
  },
);

describe('the name of a database that a restored one replaces', () => {
  const restored = ['restored-r-20261121-160000-ab12', 'restored-r-20261121-170000-cd34'] as const;
  const regions = spec().regions.map((region) => ({
    ...region,
    ...brought,
    database: { ...broughtDatabase(region.region), identifier: `${'l'.repeat(62)}e` },
  }));

  it.each([
    ['of ours', spec({ name: 'a-name-of-twenty-let' })],
    ['of a user, as long as RDS takes it', spec({ regions })],
  ])('%s differs for every run, is one that RDS takes, and one that the policy names', (__, description) => {
    const platform = definePlatform(description);
    const { primary } = platform;
    const identifier = databaseIdentifier(platform, primary);
    const names = restored.map((name) => asideName(identifier, name));
    expect(new Set(names).size).toBe(2);
    for (const name of names) {
      expect(name).toMatch(/^[a-z](?!.*--)[a-z0-9-]{0,61}[a-z0-9]$/);
      expect(
        refusedCalls(policy('database-restore', platform), [rename(identifier, name, primary.region)], primary.account),
      ).toEqual([]);
    }
    expect(databaseArn(platform, primary)).toContain(identifier);
  });
});
