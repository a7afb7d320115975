import { describe, expect, test } from 'vitest';
import { chooseEnvironment } from '../../lib/platform/environments.ts';
import { definePlatform, PlatformError } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { spec } from './specs.ts';

/** All faults that a description is refused for; empty when it is accepted. */
function faultsOf(changes: Partial<PlatformSpec>): readonly string[] {
  try {
    definePlatform(spec(changes));
    return [];
  } catch (error) {
    if (error instanceof PlatformError) return error.faults;
    throw error;
  }
}

const [first, second, third] = [
  { region: 'us-east-1', role: 'primary', zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16' },
  { region: 'us-west-2', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16' },
  { region: 'eu-west-1', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.2.0.0/16' },
] as const;

const refusals: readonly (readonly [string, Partial<PlatformSpec>, RegExp])[] = [
  [
    'a domain that fits into no certificate',
    { domain: `${'a'.repeat(60)}.acme.example` },
    /longer than the 64 characters/,
  ],
  ['a name that AWS names cannot be made from', { name: 'Acme_Inc' }, /^name: "Acme_Inc" must be/],
  ['an account that is none', { account: '12345' }, /^account: "12345" is not an AWS account/],
  ['a domain that is none', { domain: 'gateway' }, /^domain: "gateway" is not a domain name/],
  [
    'a domain outside the hosted zone',
    { domain: 'gateway.other.example' },
    /^domain: .* is not inside hostedZone\.name/,
  ],
  ['a hosted zone id that is none', { hostedZone: { name: 'acme.example', id: 'acme' } }, /^hostedZone\.id: "acme"/],
  ['an image that is none', { image: ' ' }, /^image: " " is not an image name/],
  [
    'a region that is none',
    { regions: [{ ...first, region: 'mars' }, second] },
    /^regions\[0\]\.region: "mars" is not an AWS region/,
  ],
  [
    'a region that nobody built yet',
    { regions: [{ ...first, region: 'us-east-9' }, second] },
    /^regions\[0\]\.region: "us-east-9" is not an AWS region/,
  ],
  [
    'a region of another partition, whose names are others',
    { regions: [{ ...first, region: 'us-gov-west-1' }, second] },
    /^regions\[0\]\.region: "us-gov-west-1" is not an AWS region/,
  ],
  [
    'a zone that the region does not have',
    { regions: [first, { ...second, zones: ['a', 'b', 'z'] }] },
    /^regions\[1\]\.zones: us-west-2 has no zone "z"; it has a, b, c, d$/,
  ],
  [
    'accounts to deploy from that are none, or its own',
    { deployedFrom: ['ci', '222222222222'] },
    /^deployedFrom\[0\]: "ci" is not an AWS account/,
  ],
  [
    'a region named twice',
    { regions: [first, second, { ...second, cidr: '10.9.0.0/16' }] },
    /"us-west-2" appears twice/,
  ],
  [
    'a zone with its region’s name',
    { regions: [{ ...first, zones: ['us-east-1a', 'b', 'c'] }, second] },
    /the zone's letter alone/,
  ],
  ['a zone named twice', { regions: [{ ...first, zones: ['a', 'a', 'b'] }, second] }, /a zone appears twice/],
  ['a single gateway', { regions: [{ ...first, gatewayReplicas: 1 }, second] }, /one replica is no redundancy/],
  ['no primary', { regions: [{ ...first, role: 'standby' }, second] }, /no region has role "primary"/],
  [
    'two primaries',
    { regions: [first, { ...second, role: 'primary' }] },
    /2 regions have role "primary" \(us-east-1, us-west-2\)/,
  ],
  [
    'several regions called one',
    { tier: 'standard', topology: 'single-region' },
    /"single-region" has one region, but regions lists 3/,
  ],
  [
    'one region called active-passive',
    { tier: 'standard', regions: [first] },
    /"active-passive" needs a second region/,
  ],
  [
    'a tier that one region cannot keep',
    { topology: 'single-region', regions: [first] },
    /one region cannot keep that/,
  ],
  [
    'fewer zones than the tier needs',
    { regions: [{ ...first, zones: ['a', 'b'] }, second] },
    /tier "high" needs 3 zones, us-east-1 has 2/,
  ],
  [
    'a range that is none',
    { regions: [{ ...first, cidr: '10.0.0.0/24' }, second] },
    /^regions\[0\]\.cidr: "10\.0\.0\.0\/24" is not a range/,
  ],
  [
    'overlapping ranges',
    { regions: [first, { ...second, cidr: '10.0.0.0/17' }] },
    /"10\.0\.0\.0\/17" of us-west-2 overlaps "10\.0\.0\.0\/16"/,
  ],
  [
    'a dns stack that dies with the primary',
    { dnsRegion: 'us-east-1' },
    /choose another, so that the dns stack outlives it/,
  ],
  ['a dns region that is none', { dnsRegion: 'global' }, /^dnsRegion: "global" is not an AWS region/],
  [
    'a standby in another account than the primary',
    { regions: [first, { ...second, account: '333333333333' }] },
    /^regions\[1\]\.account: us-west-2 is in 333333333333, the primary us-east-1 in 222222222222; RDS has no read replicas across accounts/,
  ],
  [
    'regions in another account than the zone, without a certificate',
    { regions: [first, second].map((region) => ({ ...region, account: '333333333333' })) },
    /^regions\[1\]\.certificateArn: missing; the hosted zone is in 222222222222 and us-west-2 in 333333333333/,
  ],
  [
    'a certificate of another account',
    { regions: [{ ...first, certificateArn: 'arn:aws:acm:us-east-1:999999999999:certificate/x' }, second] },
    /^regions\[0\]\.certificateArn: .* must begin with arn:aws:acm:us-east-1:222222222222:certificate\//,
  ],
  ['a witness’s account that is none', { witnessAccount: 'audit' }, /^witnessAccount: "audit" is not an AWS account/],
  ['an account of no witness', { witnessAccount: '444444444444' }, /^witnessAccount: there is no witness/],
  [
    'a generation of an unknown region',
    { databaseGeneration: { 'sa-east-1': 2 } },
    /^databaseGeneration\.sa-east-1: no such region/,
  ],
  [
    'a generation before the first',
    { databaseGeneration: { 'us-west-2': 0 } },
    /^databaseGeneration\.us-west-2: 0 must be a whole number/,
  ],
  [
    'a new empty database in place of the data',
    { databaseGeneration: { 'us-east-1': 2 } },
    /an empty database would take the place of the data/,
  ],
  [
    'a source in an unknown region',
    { databaseSource: { 'us-west-2': { region: 'sa-east-1', generation: 1 } } },
    /^databaseSource\.us-west-2\.region: "sa-east-1"/,
  ],
  [
    'a database that copies itself',
    { databaseSource: { 'us-west-2': { region: 'us-west-2', generation: 1 } } },
    /cannot be a replica of its own region/,
  ],
  [
    'a source that does not exist yet',
    { databaseSource: { 'us-west-2': { region: 'us-east-1', generation: 2 } } },
    /us-east-1 has no generation 2 yet/,
  ],
  [
    'an administrator that is no role',
    { cluster: { adminRoleArns: ['admin'] } },
    /^cluster\.adminRoleArns\[0\]: "admin" is not a role ARN/,
  ],
  ['a Kubernetes API open to everyone', { cluster: { publicApiCidrs: ['0.0.0.0/0'] } }, /never open to everyone/],
];

const critical = { tier: 'critical', regions: [first, second] } as const;

const refusedPlaces: readonly (readonly [string, Partial<PlatformSpec>, RegExp])[] = [
  [
    'a critical pair without a third place for the claim',
    critical,
    /^witnessRegion: tier "critical" needs the claim in three places/,
  ],
  [
    'a witness among the regions',
    { ...critical, witnessRegion: 'us-west-2' },
    /it would be lost together with what it is to outlive/,
  ],
  [
    'a witness that is no region',
    { ...critical, witnessRegion: 'moon' },
    /^witnessRegion: "moon" is not an AWS region/,
  ],
  [
    'a place for copies where regions have each other',
    { backupRegion: 'us-east-2' },
    /^backupRegion: several regions hold each other/,
  ],
  [
    'a single region without a partner under its law',
    { tier: 'standard', topology: 'single-region', regions: [{ ...first, region: 'sa-east-1' }] },
    /^backupRegion: sa-east-1 has no partner region/,
  ],
  [
    'a name that makes a bucket too long',
    { name: 'a'.repeat(20), regions: [first, { ...second, region: 'ap-southeast-2' }] },
    /^name: "a{20}" is too long: the bucket .* would have 68 characters, S3 allows 63; shorten the name by 5/,
  ],
  [
    'an opt-out without a reason',
    { tier: 'high', topology: 'single-region', regions: [first], regionLoss: { optOutReason: ' ' } },
    /say why/,
  ],
  ['an opt-out of nothing', { regionLoss: { optOutReason: 'because' } }, /nothing to opt out of/],
  [
    'AWS’s plan for three regions',
    { regionSwitchPlan: true },
    /^regionSwitchPlan: ARC Region switch knows two regions/,
  ],
  [
    'an RPO without a replica',
    { tier: 'standard', topology: 'single-region', regions: [first], refuseBeyondRpo: true },
    /^refuseBeyondRpo: a single region has no replica/,
  ],
  ['a qualifier that is none', { bootstrapQualifier: 'Much-Too-Long' }, /^bootstrapQualifier/],
  [
    'a certificate of another region',
    { regions: [{ ...first, certificateArn: 'arn:aws:acm:us-west-2:1:certificate/x' }, second] },
    /certificates of its own region and account only/,
  ],
  [
    'a network with a subnet for one of three zones',
    {
      regions: [
        {
          ...first,
          network: {
            vpcId: 'vpc-1',
            publicSubnetIds: ['subnet-0123456789abcdef0'],
            privateSubnetIds: [],
            isolatedSubnetIds: [],
          },
        },
        second,
      ],
    },
    /^regions\[0\]\.network\.publicSubnetIds: 1 subnets for 3 zones/,
  ],
  ['a drill on no day', { operations: { nextDrill: 'soon' } }, /^operations\.nextDrill: "soon" is not a day/],
  [
    'drill hours that end before they begin',
    { operations: { drillHours: { days: ['Mon'], from: '16:00', to: '09:00', timeZone: 'UTC' } } },
    /^operations\.drillHours: from "16:00" must be before/,
  ],
  [
    'drill hours in no time zone',
    { operations: { drillHours: { days: ['Mon'], from: '09:00', to: '16:00', timeZone: 'Mars/Base' } } },
    /^operations\.drillHours\.timeZone: "Mars\/Base"/,
  ],
  ['an address that is none', { operations: { alertEmails: ['oncall'] } }, /^operations\.alertEmails\[0\]/],
  ['a role for everybody’s CI', { delivery: { subjects: ['repo:*'] } }, /lets every repository of the issuer deploy/],
];

describe('a platform is refused for', () => {
  test.each([...refusals, ...refusedPlaces])('%s', (_, changes, fault) => {
    expect(faultsOf(changes)).toEqual(expect.arrayContaining([expect.stringMatching(fault)]));
  });
});

test('all faults are reported at once, and the message lists each', () => {
  const faults = faultsOf({ name: 'X', account: '1', tier: 'critical', regions: [{ ...first, zones: ['a'] }] });
  expect(faults.length).toBeGreaterThanOrEqual(4);
  expect(new PlatformError(faults).message.split('\n')).toHaveLength(faults.length + 1);
});

test('a sound platform is accepted, with its tier’s numbers filled in', () => {
  const platform = definePlatform(spec({ regions: [first, second, { ...third, gatewayReplicas: 7 }] }));
  expect(platform.primary.region).toBe('us-east-1');
  expect(platform.standbys.map(({ region }) => region)).toEqual(['us-west-2', 'eu-west-1']);
  expect(platform.regions.map(({ gatewayReplicas }) => gatewayReplicas)).toEqual([3, 2, 7]);
  expect(platform.dnsRegion).toBe('us-west-2');
});

test('every region but the first primary starts as a replica of it', () => {
  const platform = definePlatform(spec());
  expect(platform.primary.databaseSource).toBeUndefined();
  for (const standby of platform.standbys) {
    expect(standby.databaseSource).toEqual({ region: 'us-east-1', account: '222222222222', databaseGeneration: 1 });
  }
});

describe('with several environments in the configuration', () => {
  const dev = definePlatform(spec({ environment: 'dev', account: '333333333333', domain: 'dev.acme.example' }));
  const production = definePlatform(spec());

  test('the one that is named is taken, with its own account', () => {
    expect(chooseEnvironment({ dev, production }, 'dev')).toBe(dev);
  });

  test('production is taken when none is named, and a single one always', () => {
    expect(chooseEnvironment({ dev, production }, undefined)).toBe(production);
    expect(chooseEnvironment(dev, undefined)).toBe(dev);
    expect(chooseEnvironment(dev, 'dev')).toBe(dev);
  });

  test.each([
    ['one that is not there', { dev, production }, 'staging', 'no environment "staging"; it has dev, production'],
    ['another one than the only one', dev, 'production', 'no environment "production"; it has dev'],
    ['one under another one’s name', { staging: dev }, 'staging', 'environment "staging" says that it is "dev"'],
  ])('%s is refused', (_, exported, name, fault) => {
    expect(() => chooseEnvironment(exported, name)).toThrow(fault);
  });
});
