/**
 * The upgrade of databases and clusters over HTTP with AWS's own clients. moto has neither upgrade: the answers are written
 * from the services' published models (botocore, rds/2014-10-31 and eks/2017-11-01, service-2.json).
 */
import { createServer } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsUpgrades } from '../../../runbooks/aws/upgrades.ts';
import { upgrade } from '../../../runbooks/books/upgrade.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { optionsFor } from '../engine/world.ts';

const [east, west] = ['us-east-1', 'us-west-2'] as const;

interface FakeAws {
  readonly versions: Map<string, string>;
  readonly acts: string[];
  insight: 'PASSING' | 'ERROR';
  readonly clients: AwsClients;
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
  const server = createServer((request, response) => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(Buffer.from(piece));
      const body = Buffer.concat(pieces).toString();
      const [, region = '', service] = /\/\d+\/([\w-]+)\/(\w+)\//.exec(request.headers.authorization ?? '') ?? [];
      if (service === 'eks') {
        response.setHeader('content-type', 'application/json');
        if (request.url?.endsWith('/insights') === true) {
          const insightStatus = { status: fake.insight, reason: 'flowcontrol v1beta3 is used' };
          response.end(JSON.stringify({ insights: [{ name: 'Deprecated APIs', insightStatus }] }));
        } else if (request.method === 'POST') {
          begin(region, String(JSON.parse(body).version));
          response.end(JSON.stringify({ update: { id: '1', status: 'InProgress' } }));
        } else {
          const { version: now, isSettled } = look(region);
          response.end(JSON.stringify({ cluster: { version: now, status: isSettled ? 'ACTIVE' : 'UPDATING' } }));
        }
        return;
      }
      const form = new URLSearchParams(body);
      const action = form.get('Action') ?? '';
      const xml = (inner: string): string =>
        `<${action}Response xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><${action}Result>${inner}</${action}Result></${action}Response>`;
      response.setHeader('content-type', 'text/xml');
      if (action === 'ModifyDBInstance') {
        begin(region, form.get('EngineVersion') ?? '');
        response.end(xml('<DBInstance/>'));
      } else if (action === 'DescribeDBEngineVersions') {
        const target = '<UpgradeTarget><EngineVersion>18.6</EngineVersion></UpgradeTarget>';
        response.end(
          xml(
            `<DBEngineVersions><DBEngineVersion><ValidUpgradeTarget>${target}</ValidUpgradeTarget></DBEngineVersion></DBEngineVersions>`,
          ),
        );
      } else if (action === 'DescribeDBSnapshots') {
        if (fake.acts.includes('snapshot')) {
          response.end(xml('<DBSnapshots><DBSnapshot><Status>available</Status></DBSnapshot></DBSnapshots>'));
        } else {
          response.writeHead(404);
          response.end(
            '<ErrorResponse><Error><Type>Sender</Type><Code>DBSnapshotNotFound</Code><Message>none</Message></Error></ErrorResponse>',
          );
        }
      } else if (action === 'CreateDBSnapshot') {
        fake.acts.push('snapshot');
        response.end(xml('<DBSnapshot/>'));
      } else {
        const { version: now, isSettled } = look(region);
        const pending = isSettled
          ? ''
          : `<PendingModifiedValues><EngineVersion>${fake.pending.get(region)?.to}</EngineVersion></PendingModifiedValues>`;
        response.end(
          xml(
            `<DBInstances><DBInstance><Engine>postgres</Engine><EngineVersion>${now}</EngineVersion><DBInstanceStatus>available</DBInstanceStatus>${pending}</DBInstance></DBInstances>`,
          ),
        );
      }
    })().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const clients = new AwsClients({
    endpoint: `http://127.0.0.1:${address.port}`,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  onTestFinished(() => {
    clients.destroy();
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(fake, { clients });
}

function upgraded(fake: FakeAws, component: 'database' | 'cluster', to: string) {
  const world = new SimulatedWorld();
  const real = {
    newestBackup: world.newestBackup.bind(world),
    restores: world.restores,
    upgrades: awsUpgrades(fake.clients, { databaseIn: (region) => `db-${region}`, clusterIn: (region) => region }),
    verify: async () => [],
  };
  const book = upgrade({ component, to, primary: east, standbys: [west] });
  return run(optionsFor(book, real, { confirm: async (_, expected) => expected }));
}

it('databases: replicas first, a snapshot before the writer, and each is waited for', async () => {
  const fake = await fakeAws('18.4');
  expect(await upgraded(fake, 'database', '18.6')).toEqual({ is: 'completed' });
  expect(fake.acts).toEqual([`${west} 18.6`, 'snapshot', `${east} 18.6`]);
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
