import { describe, expect, test } from 'vitest';
import { bucketName, dnsStackName, satelliteStackName } from '../../lib/platform/names.ts';
import { claimPlaces } from '../../lib/platform/places.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { review } from '../../lib/review/review.ts';
import { reviewAsText } from '../../lib/review/text.ts';
import { specOf } from './specs.ts';
import { resourcesOf, stackNamed, synthesize } from './synthesize.ts';

/** Names in one account, regions in a second, a third of the claim in a third one. */
const [names, work, witness] = ['222222222222', '333333333333', '444444444444'];

const certificateIn = (region: string): string =>
  `arn:aws:acm:${region}:${work}:certificate/00000000-0000-0000-0000-000000000000`;

function spread(changes: Partial<PlatformSpec> = {}): PlatformSpec {
  const spec = specOf('critical', 'active-passive', 2);
  return {
    ...spec,
    witnessAccount: witness,
    regions: spec.regions.map((each) => ({ ...each, account: work, certificateArn: certificateIn(each.region) })),
    ...changes,
  };
}

describe('a platform whose names, regions and witness have accounts of their own', () => {
  const platform = definePlatform(spread());
  const { stacks, missing } = synthesize(platform);
  const dns = stackNamed(stacks, dnsStackName(platform));

  test('writes the regions’ names where the zone is, from what AWS called their load balancers, and nowhere else', () => {
    expect(missing).toEqual([]);
    const records = resourcesOf([dns], 'AWS::Route53::RecordSet').map(({ Properties }) => Properties);
    expect(records).toContainEqual(
      expect.objectContaining({
        Name: 'us-west-2.gateway.acme.example.',
        AliasTarget: {
          HostedZoneId: { 'Fn::Select': [0, { Ref: 'LoadBalancerUsWest2' }] },
          DNSName: { 'Fn::Select': [1, { Ref: 'LoadBalancerUsWest2' }] },
          EvaluateTargetHealth: true,
        },
      }),
    );
    expect(dns.template.Parameters['LoadBalancerUsWest2']).not.toHaveProperty('Default');
    const others = stacks.filter((stack) => stack !== dns);
    expect(JSON.stringify(resourcesOf(others, 'AWS::Route53::RecordSet'))).not.toContain('Z0ACME');
    expect(resourcesOf(others, 'AWS::CertificateManager::Certificate')).toEqual([]);
    const outputs = others.flatMap(({ template }) => Object.keys(template.Outputs));
    expect(outputs.filter((name) => name === 'LoadBalancerAlias')).toHaveLength(2);
  });

  test('lets the regions’ account use the witness’s bucket and key, and the pods ask for exactly that bucket', () => {
    const satellite = stackNamed(stacks, satelliteStackName(platform, 'us-east-2'));
    const policies = [
      ...resourcesOf([satellite], 'AWS::S3::BucketPolicy'),
      ...resourcesOf([satellite], 'AWS::KMS::Key'),
    ];
    const admitting = policies.filter(({ Properties }) => JSON.stringify(Properties).includes(`:iam::${work}:root`));
    expect(admitting.map(({ Type }) => Type).toSorted()).toEqual(['AWS::KMS::Key', 'AWS::S3::BucketPolicy']);
    const [, , third] = claimPlaces(platform).map((place) => bucketName(platform, place, 'claim'));
    expect(third).toBe(`acme-production-us-east-2-claim-${witness}`);
    expect(JSON.stringify(resourcesOf(stacks, 'AWS::IAM::Policy'))).toContain(`arn:aws:s3:::${third}/claim.json`);
    // Missing is only told to who may list, and both accounts have to agree.
    const [bucketPolicy] = admitting.filter(({ Type }) => Type === 'AWS::S3::BucketPolicy');
    expect(JSON.stringify(bucketPolicy?.Properties)).toContain('"s3:ListBucket"');
  });

  test('names an account other than the platform’s in no region’s stack but for the claim', () => {
    const regional = stacks.filter(({ name }) => /us-(east-1|west-2)-/.test(name));
    for (const { name, template } of regional) {
      const foreign = JSON.stringify(template).match(new RegExp(`.{40}(${names})`, 'g')) ?? [];
      expect(foreign, name).toEqual([]);
    }
  });

  test('is deployed by commands that name each account, and those that must trust CI’s', () => {
    const background = { today: '2026-11-21', evidence: [], changes: undefined };
    const text = reviewAsText(
      review(platform, { stacks, findings: [], exceptions: [] }, [], background),
      (title) => title,
    );
    expect(text).toContain(`Account     ${work} (regions), ${names} (names, CI), ${witness} (witness of the claim)`);
    expect(text).toContain(`cdk bootstrap aws://${work}/us-west-2 --trust ${names}`);
    expect(text).toContain(`cdk bootstrap aws://${names}/us-west-2   # once`);
    expect(text).toMatch(/cdk deploy acme-production-dns --parameters LoadBalancerUsEast1=ZONE,NAME/);
  });
});

test('AWS’s own recovery plan stands with the regions and looks at records by a role beside the names', () => {
  const platform = definePlatform(spread({ regionSwitchPlan: true }));
  const { stacks } = synthesize(platform);
  const [plan] = resourcesOf(stacks, 'AWS::ARCRegionSwitch::Plan');
  const reader = `arn:aws:iam::${names}:role/acme-production-records-reader`;
  expect(JSON.stringify(plan)).toContain(`"CrossAccountRole":"${reader}"`);
  const dns = stackNamed(stacks, dnsStackName(platform));
  expect(resourcesOf([dns], 'AWS::IAM::Role')[0]?.Properties).toMatchObject({
    RoleName: 'acme-production-records-reader',
    AssumeRolePolicyDocument: {
      Statement: [{ Principal: { AWS: `arn:aws:iam::${work}:role/acme-production-region-switch` } }],
    },
  });
});

test('a single region may be in another account than its names; its copies stay in its own', () => {
  const spec = specOf('standard', 'single-region');
  const [only] = spec.regions;
  const platform = definePlatform({
    ...spec,
    regions: only === undefined ? [] : [{ ...only, account: work, certificateArn: certificateIn(only.region) }],
  });
  expect(platform.satellites.map(({ account }) => account)).toEqual([work]);
  expect(platform.account).toBe(names);
});

describe('a vault in an account of its own', () => {
  const vault = 'arn:aws:backup:us-east-1:555555555555:backup-vault:isolated';
  const platform = definePlatform(spread({ isolatedVaultArns: { 'us-east-1': vault } }));
  const { stacks } = synthesize(platform);

  test('gets every backup of the database that takes writes, beside the copy in another region', () => {
    const [plan, ...others] = resourcesOf(stacks, 'AWS::Backup::BackupPlan');
    expect(others).toEqual([]);
    const { BackupPlanRule: rules = [] } = Object(plan?.Properties['BackupPlan']);
    const copies = rules.map(({ CopyActions: actions }: { CopyActions: { DestinationBackupVaultArn: unknown }[] }) =>
      actions.map(({ DestinationBackupVaultArn: arn }) => arn),
    );
    const elsewhere = expect.stringMatching(/^arn:aws:backup:us-west-2:333333333333:backup-vault:/);
    expect(copies).toEqual([
      [elsewhere, vault],
      [elsewhere, vault],
    ]);
  });

  test('may read what the database’s key encrypts, by that key alone, and grant it to AWS’s services alone', () => {
    const admitting = resourcesOf(stacks, 'AWS::KMS::Key').filter(({ Properties }) =>
      JSON.stringify(Properties).includes(':iam::555555555555:root'),
    );
    expect(admitting.map(({ stack }) => stack.name)).toEqual(['acme-production-us-east-1-data']);
    const { Statement: statements = [] } = Object(admitting[0]?.Properties['KeyPolicy']);
    expect(statements).toContainEqual(
      expect.objectContaining({
        Action: 'kms:CreateGrant',
        Condition: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
      }),
    );
  });

  test.each([
    [
      'in a region that the platform has not',
      { 'eu-west-1': vault.replace('us-east-1', 'eu-west-1') },
      /no such region/,
    ],
    [
      'in another region than what it gets',
      { 'us-west-2': vault },
      /is not a vault in that region such as arn:aws:backup:us-west-2:/,
    ],
    ['that is none', { 'us-east-1': 'arn:aws:s3:::isolated' }, /is not a vault in that region/],
    [
      'in the account that it is to outlive',
      { 'us-east-1': vault.replace('555555555555', work) },
      /333333333333 is an account of this platform/,
    ],
  ] as const)('is refused %s', (_, isolatedVaultArns, fault) => {
    expect(() => definePlatform(spread({ isolatedVaultArns }))).toThrow(fault);
  });
});
