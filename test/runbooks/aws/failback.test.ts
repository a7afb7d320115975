/** region-failback over the wire: a new generation by the data stack, shares by the dns stack's one parameter. */

import { createServer } from 'node:http';
import { CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { CreateBucketCommand, GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  bucketName,
  databaseArn,
  databaseIdentifier,
  dnsStackName,
  parameters,
  stackName,
} from '../../../lib/platform/names.ts';
import { definePlatform, type Platform, type Region } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { failbackShares } from '../../../runbooks/aws/failback-shares.ts';
import { comparedTables, lostRows, lostWritesLists } from '../../../runbooks/aws/lost-writes.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { prometheusVitals } from '../../../runbooks/aws/prometheus-vitals.ts';
import { awsRegionDatabase } from '../../../runbooks/aws/region-database.ts';
import { awsRegionTraffic } from '../../../runbooks/aws/region-traffic.ts';
import { awsReplicas } from '../../../runbooks/aws/replicas.ts';
import { type FailbackWorld, regionFailback } from '../../../runbooks/books/region-failback.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { spec } from '../../lib/specs.ts';
import { stackNamed, synthesize } from '../../lib/synthesize.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { type AwsFront, startAwsFront } from '../../support/aws/front.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { optionsFor, realClock } from '../engine/world.ts';

const available = await motoIsInstalled();
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;

/** Before, and as an operator edits it for the failback. */
const before = definePlatform(spec());
const after = definePlatform(
  spec({ databaseGeneration: { [east]: 2 }, databaseSource: { [east]: { region: west, generation: 1 } } }),
);
const regionIn =
  (platform: Platform) =>
  (name: string): Region => {
    const found = platform.regions.find(({ region }) => region === name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  };
const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe.skipIf(process.env['CI'] === undefined && !available)(
  'region-failback over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 90_000 },
  () => {
    let front: AwsFront;
    let clients: AwsClients;
    const access = (endpoint: string) => ({
      endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });

    beforeAll(async () => {
      // No other test uses the account of this description.
      front = await startAwsFront({ ...(await freshMoto()), account: before.account }, { promotionMs: 100 });
      clients = new AwsClients(access(front.url));
      const { stacks } = synthesize(before);
      const places = [
        [east, stackName(before, east, 'data')],
        [west, stackName(before, west, 'data')],
        [before.dnsRegion, dnsStackName(before)],
      ] as const;
      for (const [region, name] of places) {
        const TemplateBody = JSON.stringify(stackNamed(stacks, name).template);
        await clients.cloudFormation(region).send(new CreateStackCommand({ StackName: name, TemplateBody }));
        await until(async () => (await stackIn(region, name))?.StackStatus === 'CREATE_COMPLETE', 30_000);
      }
      await clients
        .s3(east)
        .send(new CreateBucketCommand({ Bucket: bucketName(before, regionIn(before)(east), 'journal') }));
      for (const kind of ['takeover', 'journal'] as const) {
        await clients.s3(west).send(
          new CreateBucketCommand({
            Bucket: bucketName(before, regionIn(before)(west), kind),
            CreateBucketConfiguration: { LocationConstraint: west },
          }),
        );
      }
    }, 90_000);
    afterAll(async () => {
      clients.destroy();
      await front.close();
    });

    const stackIn = async (region: string, name: string) =>
      (await clients.cloudFormation(region).send(new DescribeStacksCommand({ StackName: name }))).Stacks?.[0];
    const shareNow = async () =>
      (await stackIn(before.dnsRegion, dnsStackName(before)))?.Parameters?.find(
        ({ ParameterKey: key }) => key === parameters.failbackPercent,
      )?.ParameterValue;
    const shares = () =>
      failbackShares(() => clients, { region: before.dnsRegion, stack: dnsStackName(before), primary: east, wait });

    it('refuses shares that the stack does not know, and other regions than the primary', async () => {
      await expect(shares().set(east, 33, signal)).rejects.toThrow('33 % is none of the shares');
      await expect(shares().set(west, 10, signal)).rejects.toThrow(`to ${east} alone`);
      expect(await shares().read(west, signal)).toBeUndefined();
      expect(await shares().read(east, signal)).toBe(0);
    });

    it('builds the next generation, gives clients back by the one parameter, and promotes last', async () => {
      const [old, survivor] = await Promise.all([migratedDatabase(), migratedDatabase()]);
      await query(survivor.url, `UPDATE region_epoch SET epoch = 2, writer_region = '${west}'`);
      await query(old.url, `INSERT INTO api_key (key_hash, key_name) VALUES ('${'a'.repeat(64)}', 'sk-...lost')`);
      const simulated = SimulatedWorld.failedOver();
      for (const bucket of simulated.buckets) {
        if (bucket.claim !== undefined) bucket.claim = { ...bucket.claim, writer: west };
      }
      const traffic = awsRegionTraffic(clients, (name) => bucketName(before, regionIn(before)(name), 'takeover'));
      await traffic.takeOver(west, 'the-failover', 2, signal);

      // Both regions show one row because replicas do: here they are one database.
      const worldOf = (platform: Platform): FailbackWorld => {
        const regionOf = regionIn(platform);
        return {
          claims: simulated.claims,
          traffic,
          capacity: { read: async () => ({ ready: 3, needed: 3 }), raise: async () => undefined },
          verify: async () => [{ check: 'health', is: 'ok', note: '', seconds: 0 }],
          wait: async () => undefined,
          shares: shares(),
          vitals: async () => ({ requests: 500, errors: 0, addedLatencyMs: 3 }),
          database: (name) => {
            const known = awsRegionDatabase(clients, {
              region: name,
              identifier: databaseIdentifier(platform, regionOf(name)),
              stack: stackName(platform, name, 'data'),
              rows: rowsOf(survivor.url),
              wait,
            });
            // No CloudWatch stands behind the front: what it would say of the lag is said here.
            return { ...known, view: async (stop) => ({ ...(await known.view(stop)), lagSeconds: 1 }) };
          },
          replicas: awsReplicas(clients, {
            platform,
            regionOf,
            wait,
            // Larger than a call takes: it has to go through the bucket.
            templateOf: async (stack) =>
              JSON.stringify({
                ...stackNamed(synthesize(platform).stacks, stack).template,
                Metadata: { padding: 'x'.repeat(60_000) },
              }),
            lists: lostWritesLists(clients, {
              bucketOf: (name) => bucketName(platform, regionOf(name), 'journal'),
              oldUrl: () => old.url,
              survivorUrl: () => survivor.url,
              keyOf: (ref) => `runs/lost-writes/${databaseIdentifier(platform, ref)}.json`,
            }),
          }),
        };
      };
      const book = regionFailback({
        target: east,
        former: west,
        promoteWith: 'stack',
        maxLagSeconds: 5,
        bakeSeconds: 10,
      });
      const journal = new MemoryJournal();
      const more = {
        confirm: async (_: unknown, expected: string) => expected,
        clock: realClock,
        pollSeconds: 0.05,
        journal,
      };

      const from = front.calls.length;
      // The description does not say it yet: what to write is told, and nothing was built.
      const refused = await run(optionsFor<FailbackWorld>(book, worldOf(before), more));
      expect(refused).toMatchObject({
        is: 'partial',
        step: 'rebuild',
        because: expect.stringContaining(`databaseGeneration: { '${east}': 2 }`),
      });
      expect(refused).toMatchObject({ because: expect.stringContaining(`region: '${west}', generation: 1`) });

      expect(await run(optionsFor<FailbackWorld>(book, worldOf(after), more))).toEqual({ is: 'completed' });
      const policy = policyOf('region-failback', after, {
        claims: [],
        takeovers: [{ region: west, bucket: bucketName(before, regionIn(before)(west), 'takeover') }],
        journals: [east, west].map((name) => bucketName(before, regionIn(before)(name), 'journal')),
      });
      expect(refusedCalls(policy, front.calls.slice(from), before.account)).toEqual([]);
      const { DBInstances = [] } = await clients.rds(east).send(new DescribeDBInstancesCommand({}));
      expect(DBInstances.map(({ DBInstanceIdentifier: name }) => name)).toEqual(
        expect.arrayContaining([1, 2].map((generation) => `acme-production-${east}-db-${generation}`)),
      );
      const created = front.rdsCalls.filter(
        ({ action, database }) => action === 'CreateDBInstanceReadReplica' && database.endsWith('db-2'),
      );
      expect(created).toHaveLength(1);
      expect(
        front.rdsCalls.filter(({ action, region }) => action === 'PromoteReadReplica' && region === east),
      ).toHaveLength(1);
      expect(await traffic.takeover(west, signal)).toBeUndefined();
      expect(await shareNow()).toBe('0');
      const done = await journal.read();
      const acted = done.flatMap((event) => (event.is === 'acted' ? [event.step] : []));
      expect(acted.filter((step) => /^shift|^give|^rest|^promote/.test(step))).toEqual([
        'shift-10',
        'shift-25',
        'shift-50',
        'shift-75',
        'shift-100',
        'give-back',
        'rest',
        'promote',
      ]);
      // The row that only the old database has: listed by its key, without its contents.
      const { Body } = await clients.s3(west).send(
        new GetObjectCommand({
          Bucket: bucketName(before, regionIn(before)(west), 'journal'),
          Key: `runs/lost-writes/acme-production-${east}-db-1.json`,
        }),
      );
      const list = z.object({ rows: z.array(z.unknown()) }).parse(JSON.parse((await Body?.transformToString()) ?? ''));
      expect(list.rows).toContainEqual({ table: 'api_key', key: { key_hash: 'a'.repeat(64) }, is: 'missing' });
      await Promise.all([old.drop(), survivor.drop()]);
    });

    it('never deletes a database that follows nobody', async () => {
      const replicas = awsReplicas(clients, {
        platform: before,
        regionOf: regionIn(before),
        templateOf: async () => '',
        lists: { read: async () => undefined, make: async () => undefined },
        wait,
      });
      await expect(replicas.remove(east, west, signal)).rejects.toThrow('it is left alone');
      expect(databaseArn(before, regionIn(before)(east))).toContain('db-1');
    });
  },
);

describe('lost writes', () => {
  it('are rows that the survivor lacks or has otherwise; what it has besides is none', async () => {
    const [old, survivor] = await Promise.all([migratedDatabase(), migratedDatabase()]);
    const add = (url: string, id: string, alias: string): Promise<unknown> =>
      query(
        url,
        `INSERT INTO organization (organization_id, organization_alias, created_at, updated_at)
         VALUES ('${id}', '${alias}', '2026-01-01', '2026-01-01')`,
      );
    for (const [id, ours, theirs] of [
      ['same', 'x', 'x'],
      ['other', 'x', 'y'],
    ] as const) {
      await add(old.url, id, ours);
      await add(survivor.url, id, theirs);
    }
    await add(old.url, 'lost', 'x');
    await add(survivor.url, 'later', 'x');
    const rows = (await lostRows(old.url, survivor.url, signal)).filter(({ table }) => table === 'organization');
    expect(rows.toSorted((one, other) => one.is.localeCompare(other.is))).toEqual([
      { table: 'organization', key: { organization_id: 'other' }, is: 'different' },
      { table: 'organization', key: { organization_id: 'lost' }, is: 'missing' },
    ]);
    await Promise.all([old.drop(), survivor.drop()]);
  });

  it('are looked for in every table of the schema that no outbox and no process fills', async () => {
    const database = await migratedDatabase();
    const tables = await query(
      database.url,
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition ORDER BY 1`,
    );
    const derived = [
      'account',
      'audit_head',
      'config_source_state',
      'gateway_process',
      'idempotent_answer',
      'leader_lease',
      'migration',
      'region_epoch',
      'region_lease',
      'schema_requirement',
      'slice',
      'spend_daily',
      'spend_entry',
      'spend_event',
      'spend_log',
    ];
    const unknown = z
      .array(z.object({ name: z.string() }))
      .parse(tables)
      .filter(({ name }) => !comparedTables.some((known) => known === name) && !derived.includes(name));
    expect(unknown).toEqual([]);
    await database.drop();
  });
});

describe('vitals from Prometheus', () => {
  it('compare a region with the one where most other clients are', async () => {
    const answers = [
      [/increase.*"a".*5\.\./, '3'],
      [/increase.*"a"/, '200'],
      [/increase.*"b"/, '9000'],
      [/increase.*"c"/, '4'],
      [/quantile.*"a"/, '0.42'],
      [/quantile.*"b"/, '0.4'],
      [/quantile.*"c"/, 'NaN'],
    ] as const;
    const port = await freePort();
    const server = createServer((request, response) => {
      const asked = new URL(request.url ?? '', 'http://prometheus').searchParams.get('query') ?? '';
      const [, value = '0'] = answers.find(([pattern]) => pattern.test(asked)) ?? [];
      // https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
      const data = { resultType: 'vector', result: [{ metric: {}, value: [1_767_225_600, value] }] };
      response.end(JSON.stringify({ status: 'success', data }));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const vitals = prometheusVitals({ regions: ['a', 'b', 'c'], urlOf: () => `http://127.0.0.1:${port}` });
    const found = await vitals('a', 10, signal);
    server.closeAllConnections();
    server.close();
    expect(found).toMatchObject({ requests: 200, errors: 3 });
    expect(found.addedLatencyMs).toBeCloseTo(20);
  });
});

function rowsOf(url: string) {
  return {
    read: async () => {
      const [row] = z
        .array(z.object({ epoch: z.coerce.number(), writer: z.string(), state: z.enum(['open', 'closed']) }))
        .parse(await query(url, 'SELECT epoch::text, writer_region AS writer, state FROM region_epoch'));
      if (row === undefined) throw new Error('no row');
      return row;
    },
    close: async () => void (await query(url, `UPDATE region_epoch SET state = 'closed'`)),
    raise: async (epoch: number, writer: string) =>
      void (await query(
        url,
        `UPDATE region_epoch SET epoch = ${epoch}, writer_region = '${writer}', state = 'open' WHERE epoch < ${epoch}`,
      )),
  };
}
