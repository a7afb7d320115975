import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { healthPaths } from '../../gateway/contract.ts';
import {
  dnsStackName,
  failbackDomain,
  homeDomain,
  regionalDomain,
  standbyDomain,
  takeoverHost,
} from '../../lib/platform/names.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import { spec, specOf } from './specs.ts';
import { type Resource, resourcesOf, stackNamed, synthesize } from './synthesize.ts';

function dnsOf(platform: Platform) {
  const dns = stackNamed(synthesize(platform).stacks, dnsStackName(platform));
  const of = (type: string): (Resource & { readonly id: string })[] => resourcesOf([dns], type);
  return {
    records: of('AWS::Route53::RecordSet'),
    checks: of('AWS::Route53::HealthCheck'),
    zones: of('AWS::Route53::HostedZone'),
  };
}

const platforms = {
  'active-passive, one standby': definePlatform(specOf('high', 'active-passive', 2)),
  'active-passive, two standbys': definePlatform(specOf('high', 'active-passive')),
  'active-active': definePlatform(specOf('high', 'active-active')),
};

describe.each(Object.entries(platforms).map(([name, platform]) => ({ name, platform })))('$name', ({ platform }) => {
  const { records, checks } = dnsOf(platform);

  test('every record that competes with others has a health check', () => {
    const known = new Set(checks.map(({ id }) => id));
    expect(records.length).toBeGreaterThanOrEqual(2);
    for (const { Properties, id } of records) {
      expect(Properties, id).toMatchObject({
        SetIdentifier: expect.any(String),
        HealthCheckId: { Ref: expect.any(String) },
      });
      const { Ref } = Object(Properties['HealthCheckId']);
      expect([...known], id).toContain(Ref);
    }
  });

  test('every alias gives way when its target is unhealthy', () => {
    for (const { Properties, id } of records) {
      expect(Properties['AliasTarget'], id).toMatchObject({ EvaluateTargetHealth: true, HostedZoneId: 'Z0ACME' });
    }
  });

  test('an alias waits for the records that it leads to: Route 53 refuses one to a name that is not there yet', () => {
    const nameOf = ({ Properties }: Resource): unknown => Properties['Name'];
    const waits = records.flatMap((record) => {
      const target = String(Object(record.Properties['AliasTarget'])['DNSName']);
      const needed = records.filter((other) => nameOf(other) === `${target}.`).map(({ id }) => id);
      if (needed.length > 0) expect(record['DependsOn'], record.id).toEqual(expect.arrayContaining(needed));
      return needed;
    });
    expect(waits.length).toBeGreaterThan(0);
  });

  test('each region is asked over HTTPS at its own name, on the gateway’s health path, every 10 s, three times', () => {
    const asked = checks.map(({ Properties }) => Properties['HealthCheckConfig']);
    for (const { region } of platform.regions) {
      expect(asked).toContainEqual(
        expect.objectContaining({
          Type: 'HTTPS',
          Port: 443,
          FullyQualifiedDomainName: regionalDomain(platform, region),
          ResourcePath: healthPaths.health,
          RequestInterval: 10,
          FailureThreshold: 3,
          EnableSNI: true,
        }),
      );
    }
  });

  test('no two records of a name have the same identifier', () => {
    const keys = records.map(
      ({ Properties }) => `${String(Properties['Name'])} ${String(Properties['SetIdentifier'])}`,
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('records point at names of the zone and at no load balancer', () => {
    const targets = records.map(({ Properties }) => String(Object(Properties['AliasTarget'])['DNSName']));
    const names = [
      ...platform.regions.map(({ region }) => regionalDomain(platform, region)),
      standbyDomain(platform),
      failbackDomain(platform),
      homeDomain(platform),
    ];
    expect(targets.filter((target) => !names.includes(target))).toEqual([]);
  });
});

const route = z.object({
  Name: z.string(),
  Failover: z.string().optional(),
  Region: z.string().optional(),
  Weight: z.object({ 'Fn::FindInMap': z.tuple([z.string(), z.unknown(), z.string()]) }).optional(),
  AliasTarget: z.object({ DNSName: z.string() }),
});

/** Routing of a name: what answers, and by which rule. */
const routesOf = (records: readonly Resource[], name: string): string[] =>
  records
    .map(({ Properties }) => route.parse(Properties))
    .filter(({ Name }) => Name === `${name}.`)
    .map(({ Failover, Region, Weight, AliasTarget }) => {
      const weight = Weight && `weight of ${Weight['Fn::FindInMap'][2]}`;
      return `${Failover ?? Region ?? weight ?? 'alone'} -> ${AliasTarget.DNSName}`;
    })
    .sort();

test('with one standby the primary answers, and the standby when it is gone', () => {
  const { records } = dnsOf(platforms['active-passive, one standby']);
  expect(routesOf(records, 'gateway.acme.example')).toEqual([
    'PRIMARY -> us-east-1.gateway.acme.example',
    'SECONDARY -> failback.gateway.acme.example',
  ]);
  expect(routesOf(records, 'failback.gateway.acme.example')).toEqual([
    'weight of others -> us-west-2.gateway.acme.example',
    'weight of primary -> us-east-1.gateway.acme.example',
  ]);
});

test('with several standbys the nearest healthy one takes over', () => {
  const { records, checks } = dnsOf(platforms['active-passive, two standbys']);
  expect(routesOf(records, 'gateway.acme.example')).toEqual([
    'PRIMARY -> us-east-1.gateway.acme.example',
    'SECONDARY -> failback.gateway.acme.example',
  ]);
  expect(routesOf(records, 'failback.gateway.acme.example')).toEqual([
    'weight of others -> standby.gateway.acme.example',
    'weight of primary -> us-east-1.gateway.acme.example',
  ]);
  expect(routesOf(records, 'standby.gateway.acme.example')).toEqual([
    'eu-west-1 -> eu-west-1.gateway.acme.example',
    'us-west-2 -> us-west-2.gateway.acme.example',
  ]);
  const any = checks.find(({ id }) => id.startsWith('AnyStandby'));
  expect(any?.Properties['HealthCheckConfig']).toMatchObject({ Type: 'CALCULATED', HealthThreshold: 1 });
});

test('active-active answers with the nearest healthy region', () => {
  const { records } = dnsOf(platforms['active-active']);
  expect(routesOf(records, 'gateway.acme.example')).toEqual([
    'eu-west-1 -> eu-west-1.gateway.acme.example',
    'us-east-1 -> home.gateway.acme.example',
    'us-west-2 -> us-west-2.gateway.acme.example',
  ]);
  expect(routesOf(records, 'home.gateway.acme.example')).toEqual([
    'PRIMARY -> us-east-1.gateway.acme.example',
    'SECONDARY -> failback.gateway.acme.example',
  ]);
});

describe.each(Object.entries(platforms).map(([name, platform]) => ({ name, platform })))(
  'a takeover, $name,',
  ({ platform }) => {
    const { records, checks } = dnsOf(platform);
    const configOf = (id: string): Record<string, unknown> =>
      Object(checks.find((check) => check.id === id)?.Properties['HealthCheckConfig']);

    test('is an object in the bucket of the region that takes over, which the primary’s health looks at', () => {
      const asked = checks.map(({ Properties }) => Properties['HealthCheckConfig']);
      for (const standby of platform.standbys) {
        expect(asked).toContainEqual(
          expect.objectContaining({
            Type: 'HTTPS',
            FullyQualifiedDomainName: takeoverHost(platform, standby),
            ResourcePath: '/takeover.json',
            Inverted: true,
          }),
        );
      }
    });

    test('ends the primary’s answers although it is healthy: its record wants every check at once', () => {
      const primary = records.find(({ Properties }) => Properties['Failover'] === 'PRIMARY');
      const gate = configOf(String(Object(primary?.Properties['HealthCheckId']).Ref));
      const children: unknown[] = Array.isArray(gate['ChildHealthChecks']) ? gate['ChildHealthChecks'] : [];
      expect(gate).toMatchObject({ Type: 'CALCULATED', HealthThreshold: 1 + platform.standbys.length });
      const inverted = children.filter((child) => configOf(String(Object(child).Ref))['Inverted'] === true);
      expect(inverted).toHaveLength(platform.standbys.length);
      expect(children).toHaveLength(1 + platform.standbys.length);
    });
  },
);

test('a failback gives the primary its traffic back by one parameter, and at first none', () => {
  const dns = stackNamed(synthesize(platforms['active-active']).stacks, dnsStackName(platforms['active-active']));
  expect(dns.template.Parameters['FailbackPercent']).toMatchObject({
    Default: '0',
    AllowedValues: ['0', '10', '25', '50', '75', '100'],
  });
  const weights: unknown = Object(dns.template['Mappings'])['FailbackWeights'];
  expect(weights).toMatchObject({ '0': { primary: 0, others: 100 }, '25': { primary: 25, others: 75 } });
  for (const each of Object.values(Object(weights))) {
    const { primary, others } = z.object({ primary: z.number(), others: z.number() }).parse(each);
    expect(primary + others).toBe(100);
  }
});

test('a single region has one record', () => {
  const { records } = dnsOf(definePlatform(specOf('standard', 'single-region')));
  expect(routesOf(records, 'gateway.acme.example')).toEqual(['alone -> us-east-1.gateway.acme.example']);
});

test('a region’s own name points at its load balancer, from its own stack', () => {
  const platform = platforms['active-active'];
  const records = resourcesOf(synthesize(platform).stacks, 'AWS::Route53::RecordSet');
  for (const { region } of platform.regions) {
    const own = records.find(({ Properties }) => Properties['Name'] === `${regionalDomain(platform, region)}.`);
    expect(own?.stack.region).toBe(region);
    expect(own?.Properties['AliasTarget']).toMatchObject({ EvaluateTargetHealth: true });
    expect(JSON.stringify(own?.Properties['AliasTarget'])).toContain('"DNSName"]');
  }
});

describe('while the hosted zone does not exist yet', () => {
  const platform = definePlatform(spec({ hostedZone: { name: 'acme.example' } }));
  const { stacks } = synthesize(platform);

  test('the dns stack creates it, keeps it for ever, and makes no record that could not be made yet', () => {
    const { zones, records, checks } = dnsOf(platform);
    expect(zones).toMatchObject([
      { Properties: { Name: 'acme.example.' }, DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' },
    ]);
    expect([...records, ...checks]).toEqual([]);
  });

  test('ingress stacks take its id as a parameter', () => {
    const withParameter = stacks
      .filter(({ template }) => 'HostedZoneId' in template.Parameters)
      .map(({ name }) => name);
    expect(withParameter).toHaveLength(platform.regions.length);
  });
});
