import { describe, expect, test } from 'vitest';
import type { Evidence } from '../../lib/platform/evidence.ts';
import { evidenceFileName, evidenceSchema } from '../../lib/platform/evidence.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import { tiers } from '../../lib/platform/tiers.ts';
import { downtimeMinutesPerMonth, servingAvailability } from '../../lib/review/availability.ts';
import { changesSince } from '../../lib/review/changes.ts';
import { checklist } from '../../lib/review/checklist.ts';
import { costOf } from '../../lib/review/cost.ts';
import { reviewAsHtml, reviewAsMarkdown } from '../../lib/review/document.ts';
import { drawingOf } from '../../lib/review/drawing.ts';
import { prices, trafficPrices } from '../../lib/review/prices.ts';
import { type Background, type Review, review } from '../../lib/review/review.ts';
import { spec, specOf } from './specs.ts';
import { synthesize } from './synthesize.ts';

const platform = definePlatform(spec({ cluster: { addons: ['vault'] } }));

const shows = 'topologySpreadConstraints\nkind: PodDisruptionBudget\nstartupProbe\nstorage "raft"';
const manifestsOf = (of: Platform) =>
  of.regions.map(({ region }) => ({ region, file: `${region}.yaml`, resources: 1, kinds: {}, text: shows }));

function reviewOf(of: Platform, background: Partial<Background> = {}): Review {
  // What operations say changes no stack that is looked at here, and one synthesis less is a second less.
  const { stacks } = synthesize({ ...of, operations: platform.operations });
  const assembly = { stacks, findings: [], exceptions: [] };
  return review(of, assembly, manifestsOf(of), {
    today: '2026-11-21',
    evidence: [],
    changes: undefined,
    ...background,
  });
}

const report = (kind: Evidence['kind'], on: string, passed = true): Evidence => ({
  kind,
  on,
  passed,
  source: 'run r-1',
});
const line = (text: string, background: Partial<Background> = {}, of: Platform = platform) =>
  checklist(reviewOf(of, background)).find((each) => each.text === text);

describe('the checklist', () => {
  test('has the thirteen lines of its origin, in their order', () => {
    expect(checklist(reviewOf(platform)).map(({ text }) => text)).toEqual([
      'Multi-AZ deployment verified',
      'Pod anti-affinity configured',
      'PodDisruptionBudgets in place',
      'Health checks tuned and tested',
      'Database replication verified',
      'Redis HA configured',
      'Vault HA configured',
      'Load balancer health checks',
      'DNS failover tested',
      'Backup/restore tested',
      'Runbooks documented',
      'On-call rotation established',
      'DR drill scheduled',
    ]);
  });

  test('ticks nothing that only a test can show without a report of one', () => {
    const open = checklist(reviewOf(platform))
      .filter(({ done }) => !done)
      .map(({ text }) => text);
    expect(open).toEqual([
      'Multi-AZ deployment verified',
      'Health checks tuned and tested',
      'Database replication verified',
      'DNS failover tested',
      'Backup/restore tested',
      'On-call rotation established',
      'DR drill scheduled',
    ]);
  });

  test('ticks it with a recent report, and names the report beside the resources', () => {
    const found = line('Database replication verified', { evidence: [report('database-replication', '2026-11-01')] });
    expect(found?.done).toBe(true);
    expect(found?.evidence.join('\n')).toMatch(/-data\/Database1 and 1 more[^]*2026-11-01: passed \(run r-1\)/);
  });

  test.each([
    ['too old', [report('dns-failover', '2026-06-01')], /173 days old, 100 are allowed/],
    ['of a failure', [report('dns-failover', '2026-11-01', false)], /FAILED/],
    [
      'older than one of a failure',
      [report('dns-failover', '2026-11-01'), report('dns-failover', '2026-11-10', false)],
      /2026-11-10: FAILED/,
    ],
    ['of tomorrow', [report('dns-failover', '2026-11-22')], /open/],
    [
      'that is contradicted on the same day',
      [report('dns-failover', '2026-11-10'), report('dns-failover', '2026-11-10', false)],
      /2026-11-10: FAILED/,
    ],
    [
      'that passed before one failed, hours later',
      [report('dns-failover', '2026-11-10T12:00:00Z', false), report('dns-failover', '2026-11-10T09:00:00Z')],
      /2026-11-10: FAILED/,
    ],
  ])('leaves it open with a report %s', (_, evidence, said) => {
    const found = line('DNS failover tested', { evidence });
    expect(found?.done).toBe(false);
    expect(found?.evidence.join('\n')).toMatch(said);
  });

  test('takes the later of two reports of one day, where they tell the moment', () => {
    const evidence = [report('restore', '2026-11-10T09:00:00Z', false), report('restore', '2026-11-10T12:00:00Z')];
    expect(line('Backup/restore tested', { evidence })?.done).toBe(true);
    expect(evidence.map(evidenceFileName)).toEqual([
      '2026-11-10T09-00-00Z-restore.json',
      '2026-11-10T12-00-00Z-restore.json',
    ]);
  });

  test('names the last drill beside the date of the next one', () => {
    const evidence = [report('region-drill', '2026-11-10', false)];
    expect(line('DR drill scheduled', { evidence })?.evidence.join()).toMatch(/on 2026-11-10, FAILED \(run r-1\)/);
  });

  test.each([
    [
      'a rotation that has begun',
      { onCall: { rotation: 'gateway', since: '2026-01-01' } },
      'On-call rotation established',
      true,
    ],
    [
      'a rotation that begins later',
      { onCall: { rotation: 'gateway', since: '2027-01-01' } },
      'On-call rotation established',
      false,
    ],
    ['a drill within a quarter', { nextDrill: '2027-01-15' }, 'DR drill scheduled', true],
    ['a drill that is past', { nextDrill: '2026-11-01' }, 'DR drill scheduled', false],
    ['a drill next year', { nextDrill: '2027-11-01' }, 'DR drill scheduled', false],
  ])('takes %s from the configuration', (_, operations, text, done) => {
    expect(line(text, {}, { ...platform, operations: { ...platform.operations, ...operations } })?.done).toBe(done);
  });

  test('takes no report that says more or less than it must', () => {
    expect(evidenceSchema.safeParse({ kind: 'restore', on: 'yesterday', passed: true, source: 'x' }).success).toBe(
      false,
    );
    expect(evidenceSchema.safeParse({ kind: 'restor', on: '2026-11-01', passed: true, source: 'x' }).success).toBe(
      false,
    );
  });
});

describe('the estimate of costs', () => {
  const stack = (Type: string, Properties: Record<string, unknown>, region = 'us-east-1') => ({
    name: 'stack',
    region,
    template: { Resources: { Thing: { Type, Properties } } },
  });

  test('a database in two zones costs twice that in one', () => {
    const one = costOf(stack('AWS::RDS::DBInstance', { DBInstanceClass: 'db.r6g.large', MultiAZ: false }), platform);
    const two = costOf(stack('AWS::RDS::DBInstance', { DBInstanceClass: 'db.r6g.large', MultiAZ: true }), platform);
    expect(one).toBeCloseTo(0.225 * 730 + 0.115 * 200, 2);
    expect(two).toBeCloseTo(2 * one, 6);
  });

  test('a load balancer on the internet pays for an address in each zone, unless its addresses are resources of their own', () => {
    const type = 'AWS::ElasticLoadBalancingV2::LoadBalancer';
    const open = { Scheme: 'internet-facing', Subnets: ['a', 'b', 'c'] };
    const fixed = { Scheme: 'internet-facing', SubnetMappings: [{}, {}, {}] };
    expect(costOf(stack(type, fixed), platform)).toBeCloseTo(0.0225 * 730, 2);
    expect(costOf(stack(type, open), platform)).toBeCloseTo((0.0225 + 3 * 0.005) * 730, 2);
  });

  test('adds a region’s network up from its parts: NAT and addresses by zone, endpoints by service and zone', () => {
    const network = synthesize(platform).stacks.find(({ name }) => name === 'acme-production-us-east-1-network');
    const zones = 3;
    const services = 7;
    const expected = (zones * (0.045 + 0.005) + services * zones * 0.01) * 730 + 1;
    expect(network && costOf(network, platform)).toBeCloseTo(expected, 2);
  });

  test('names for every price the line it can be looked up by', () => {
    for (const { usd, field } of [...Object.values(prices), ...Object.values(trafficPrices)]) {
      expect(usd).toBeGreaterThan(0);
      expect(field).toMatch(/^[A-Z][\w ]+: /);
    }
  });

  test('knows the price of every class that a tier uses', () => {
    for (const tier of Object.values(tiers)) {
      const database = stack('AWS::RDS::DBInstance', { DBInstanceClass: tier.database.instanceClass });
      const cache = stack('AWS::ElastiCache::ReplicationGroup', {
        CacheNodeType: tier.cache.nodeType,
        ReplicasPerNodeGroup: 0,
      });
      const without = stack('AWS::RDS::DBInstance', { DBInstanceClass: 'unknown' });
      expect(costOf(database, platform)).toBeGreaterThan(costOf(without, platform) + 100);
      expect(costOf(cache, platform)).toBeGreaterThan(100);
    }
  });

  test('a critical platform costs more than a standard one of the same regions', () => {
    const total = (of: Platform): number => reviewOf(of).stacks.reduce((sum, each) => sum + costOf(each, of), 0);
    expect(total(definePlatform(specOf('critical', 'active-passive')))).toBeGreaterThan(
      total(definePlatform(specOf('standard', 'active-passive'))),
    );
  });
});

describe('availability', () => {
  test('downtime a month is what the public document of patterns rounds to: 43, 22 and 4 minutes', () => {
    expect(Object.values(tiers).map((tier) => Math.floor(downtimeMinutesPerMonth(tier) * 10) / 10)).toEqual([
      43.8, 21.9, 4.3,
    ]);
  });

  test('several regions are more available than one, and each tier’s topology can keep its promise', () => {
    const single = servingAvailability(definePlatform(specOf('standard', 'single-region')));
    const pair = servingAvailability(definePlatform(specOf('critical', 'active-passive', 2)));
    expect(pair).toBeGreaterThan(single);
    expect(single * 100).toBeGreaterThanOrEqual(tiers.standard.availabilityPercent);
    expect(pair * 100).toBeGreaterThanOrEqual(tiers.critical.availabilityPercent);
  });
});

test('changes since the last synth name new and lost stacks, and properties', () => {
  const template = (Resources: Record<string, { Type: string; Properties?: Record<string, unknown> }>) => ({
    Resources,
  });
  const before = {
    same: template({}),
    gone: template({}),
    changed: template({ A: { Type: 'T', Properties: { x: 1, y: 1 } }, B: { Type: 'T' } }),
  };
  const after = {
    same: template({}),
    new: template({}),
    changed: template({ A: { Type: 'T', Properties: { x: 2, y: 1 } }, C: { Type: 'U' } }),
  };
  expect(changesSince(before, after)).toEqual([
    { stack: 'changed', is: 'changed', resources: ['~ T A: x', '- T B', '+ U C'] },
    { stack: 'gone', is: 'gone', resources: [] },
    { stack: 'new', is: 'new', resources: [] },
  ]);
});

describe('the picture', () => {
  const drawing = drawingOf(reviewOf(platform));

  test('shows what the templates say: replication of the database, copies of objects both ways, names', () => {
    expect(drawing.arrows).toContainEqual({ from: 'us-east-1', to: 'us-west-2', what: 'database' });
    expect(drawing.arrows).toContainEqual({ from: 'us-west-2', to: 'us-east-1', what: 'objects' });
    expect(drawing.arrows).not.toContainEqual({ from: 'us-west-2', to: 'us-east-1', what: 'database' });
    expect(drawing.names).toContainEqual({ name: 'gateway.acme.example', to: 'us-east-1', how: 'PRIMARY' });
    expect(drawing.regions.map(({ region }) => region).toSorted()).toEqual(['eu-west-1', 'us-east-1', 'us-west-2']);
  });

  test('stands in the Markdown and, without anything from elsewhere, in the HTML', () => {
    const subject = reviewOf(platform);
    expect(reviewAsMarkdown(subject)).toMatch(/```mermaid\nflowchart LR[^]*us_east_1 -\.->\|database\| us_west_2/);
    const html = reviewAsHtml(subject);
    expect(html).toContain('<svg');
    expect(html).not.toMatch(/src=|href=|<script/);
  });
});
