/**
 * The upgrade of databases and clusters over HTTP with AWS's own clients. moto has neither upgrade: the answers are written
 * from the services' published models (botocore, rds/2014-10-31 and eks/2017-11-01, service-2.json).
 */
import { expect, it, onTestFinished } from 'vitest';
import { databaseIdentifier } from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { type AwsWorld, awsWorld } from '../../../runbooks/aws/aws-world.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { upgrade } from '../../../runbooks/books/upgrade.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { brought, spec } from '../../lib/specs.ts';
import { refusedCalls, unusedRights } from '../../support/aws/allowed.ts';
import { refusal, result, startWire, type Wire, type WireService } from '../../support/aws/wire.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { optionsFor } from '../engine/world.ts';

const [east, west] = ['us-east-1', 'us-west-2'] as const;
/** One region's cluster was there before the platform, under a name of its own. */
const platform = definePlatform(
  spec({ regions: spec().regions.map((one) => (one.region === east ? { ...one, ...brought } : one)) }),
);

interface FakeAws {
  readonly versions: Map<string, string>;
  readonly acts: string[];
  insight: 'PASSING' | 'ERROR';
  readonly wire: Wire;
  readonly world: AwsWorld;
}

async function fakeAws(version: string): Promise<FakeAws> {
  const fake = {
    versions: new Map<string, string>([
      [east, version],
      [west, version],
    ]),
    acts: [] as string[],
    insight: 'PASSING' as FakeAws['insight'],
    /** Looks until an upgrade shows. */
    pending: new Map<string, { to: string; looks: number }>(),
  };
  const look = (region: string): { version: string; isSettled: boolean } => {
    const pending = fake.pending.get(region);
    if (pending !== undefined && pending.looks-- === 0) {
      fake.versions.set(region, pending.to);
      fake.pending.delete(region);
    }
    return { version: fake.versions.get(region) ?? '', isSettled: !fake.pending.has(region) };
  };
  const begin = (region: string, to: string): void => {
    fake.acts.push(`${region} ${to}`);
    fake.pending.set(region, { to, looks: 2 });
  };
  const eks: WireService = ({ path, method, region, body }) => {
    if (path.endsWith('/insights')) {
      const insightStatus = { status: fake.insight, reason: 'flowcontrol v1beta3 is used' };
      return { json: { insights: [{ name: 'Deprecated APIs', insightStatus }] } };
    }
    if (method === 'POST') {
      begin(region, String(JSON.parse(body).version));
      return { json: { update: { id: '1', status: 'InProgress' } } };
    }
    const { version: now, isSettled } = look(region);
    return { json: { cluster: { version: now, status: isSettled ? 'ACTIVE' : 'UPDATING' } } };
  };
  const rds: WireService = ({ action, fields, region }) => {
    switch (action) {
      case 'ModifyDBInstance':
        begin(region, fields.get('EngineVersion') ?? '');
        return result(action, '<DBInstance/>');
      case 'DescribeDBEngineVersions': {
        const target = '<UpgradeTarget><EngineVersion>18.6</EngineVersion></UpgradeTarget>';
        const found = `<DBEngineVersion><ValidUpgradeTarget>${target}</ValidUpgradeTarget></DBEngineVersion>`;
        return result(action, `<DBEngineVersions>${found}</DBEngineVersions>`);
      }
      case 'DescribeDBSnapshots':
        return fake.acts.includes('snapshot')
          ? result(action, '<DBSnapshots><DBSnapshot><Status>available</Status></DBSnapshot></DBSnapshots>')
          : refusal('DBSnapshotNotFound', 'none', 404);
      case 'CreateDBSnapshot':
        fake.acts.push('snapshot');
        return result(action, '<DBSnapshot/>');
      default: {
        const { version: now, isSettled } = look(region);
        const to = fake.pending.get(region)?.to;
        const pending = isSettled
          ? ''
          : `<PendingModifiedValues><EngineVersion>${to}</EngineVersion></PendingModifiedValues>`;
        const own = `<Engine>postgres</Engine><EngineVersion>${now}</EngineVersion><DBInstanceStatus>available</DBInstanceStatus>`;
        return result(action, `<DBInstances><DBInstance>${own}${pending}</DBInstance></DBInstances>`);
      }
    }
  };
  const wire = await startWire({ services: { eks, rds } });
  const world = awsWorld({ platform, access: wire.access, claims: [], takeovers: [], databaseUrl: () => '', key: '' });
  onTestFinished(async () => {
    await world.close();
    await wire.close();
  });
  return Object.assign(fake, { wire, world });
}

/** Of both components: a policy is printed for the book. */
const policy = policyOf('upgrade', platform, { claims: [], takeovers: [], journals: ['journals'] });
const ofComponent = (service: 'rds' | 'eks') => (right: string) => right.startsWith(`${service}:`);

function upgraded(fake: FakeAws, component: 'database' | 'cluster', to: string) {
  const world = new SimulatedWorld();
  const real = {
    newestBackup: world.newestBackup.bind(world),
    restores: world.restores,
    upgrades: fake.world.upgrades,
    verify: async () => [],
  };
  const book = upgrade({ component, to, primary: east, standbys: [west] });
  return run(optionsFor(book, real, { confirm: async (_, expected) => expected }));
}

it('databases: replicas first, a snapshot before the writer, and each is waited for', async () => {
  const fake = await fakeAws('18.4');
  expect(await upgraded(fake, 'database', '18.6')).toEqual({ is: 'completed' });
  expect(fake.acts).toEqual([`${west} 18.6`, 'snapshot', `${east} 18.6`]);
  expect(refusedCalls(policy, fake.wire.calls, platform.account)).toEqual([]);
  // Snapshots take their tags from the database, in the operator's name.
  expect(unusedRights(policy, fake.wire.calls).filter(ofComponent('rds'))).toEqual(['rds:AddTagsToResource']);
});

it('read replicas beside the writer are upgraded before it, and one that is there already is left alone', async () => {
  const own = databaseIdentifier(platform, platform.standbys[0] ?? platform.primary);
  const versions = new Map([
    [own, '18.4'],
    [`${own}-read-1`, '18.4'],
    [`${own}-read-2`, '18.6'],
  ]);
  const acts: string[] = [];
  const rds: WireService = ({ action, fields }) => {
    const name = fields.get('DBInstanceIdentifier') ?? '';
    if (action === 'ModifyDBInstance') {
      acts.push(`${name} ${versions.get(`${own}-read-1`)}`);
      versions.set(name, fields.get('EngineVersion') ?? '');
      return result(action, '<DBInstance/>');
    }
    const readers = [`${own}-read-1`, `${own}-read-2`, 'arn:aws:rds:eu-west-1:222222222222:db:elsewhere'];
    const named = readers.map((one) => `<ReadReplicaDBInstanceIdentifier>${one}</ReadReplicaDBInstanceIdentifier>`);
    const followed = `<ReadReplicaDBInstanceIdentifiers>${name === own ? named.join('') : ''}</ReadReplicaDBInstanceIdentifiers>`;
    return result(
      action,
      `<DBInstances><DBInstance><DBInstanceIdentifier>${name}</DBInstanceIdentifier><EngineVersion>${versions.get(name)}</EngineVersion><DBInstanceStatus>available</DBInstanceStatus>${followed}</DBInstance></DBInstances>`,
    );
  };
  const wire = await startWire({ services: { rds } });
  const world = awsWorld({ platform, access: wire.access, claims: [], takeovers: [], databaseUrl: () => '', key: '' });
  onTestFinished(async () => {
    await world.close();
    await wire.close();
  });
  await world.upgrades.begin('database', west, '18.6', 'token', new AbortController().signal);
  expect(acts).toEqual([`${own}-read-1 18.4`, `${own} 18.6`]);
  expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
});

it('a version that RDS does not upgrade to is refused with those that it does, before anything is changed', async () => {
  const fake = await fakeAws('18.4');
  expect(await upgraded(fake, 'database', '18.5')).toMatchObject({
    is: 'refused',
    because: expect.stringContaining('RDS upgrades postgres 18.4 to 18.6, not to 18.5'),
  });
  expect(fake.acts).toEqual([]);
});

it('clusters: standbys first, one minor version', async () => {
  const fake = await fakeAws('1.36');
  expect(await upgraded(fake, 'cluster', '1.37')).toEqual({ is: 'completed' });
  expect(fake.acts).toEqual([`${west} 1.37`, `${east} 1.37`]);
  expect(refusedCalls(policy, fake.wire.calls, platform.account)).toEqual([]);
  expect(unusedRights(policy, fake.wire.calls).filter(ofComponent('eks'))).toEqual([]);
});

it('what EKS itself finds in the way ends the run before anything is changed', async () => {
  const fake = await fakeAws('1.36');
  fake.insight = 'ERROR';
  expect(await upgraded(fake, 'cluster', '1.37')).toMatchObject({
    is: 'refused',
    because: expect.stringContaining('Deprecated APIs: flowcontrol v1beta3 is used'),
  });
  expect(fake.acts).toEqual([]);
});
