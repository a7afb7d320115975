/**
 * database-restore over the wire: snapshots, restores and names by moto's RDS, claim and journal in S3, spend by Prometheus'
 * API. Behind every instance that RDS names stands one real PostgreSQL, which only RDS' answers lead to.
 */
import { createServer } from 'node:http';
import { CreateDBSnapshotCommand, DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { databaseIdentifier } from '../../../lib/platform/names.ts';
import { gatewayRestart } from '../../../runbooks/aws/gateway-restart.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import type { RestoreWay } from '../../../runbooks/books/backup-world.ts';
import { databaseRestore, type RestoreWorld } from '../../../runbooks/books/database-restore.ts';
import type { Journal } from '../../../runbooks/engine/journal.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { FakeCluster } from '../../support/aws/cluster.ts';
import { motoIsInstalled } from '../../support/aws/moto.ts';
import { type Standing, standingPlatform } from '../../support/aws/standing.ts';
import { ownCalls } from '../../support/aws/wire.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { query } from '../../support/query.ts';
import { Crash, optionsFor, realClock } from '../engine/world.ts';

const available = await motoIsInstalled();
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;

describe.skipIf(process.env['CI'] === undefined && !available)(
  'database-restore over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 90_000 },
  () => {
    let standing: Standing | undefined;
    afterEach(() => standing?.close());

    async function damaged() {
      const database = await migratedDatabase();
      onTestFinished(() => database.drop());
      await query(database.url, `INSERT INTO api_key (key_hash, key_name) VALUES ('${'c'.repeat(64)}', 'sk-...kept')`);
      await query(database.url, `UPDATE region_epoch SET writer_region = '${east}'`);
      const { hostname: host, port } = new URL(database.url);
      const made = await standingPlatform(spec(), [east], { databasesAt: { host, port: Number(port) } });
      standing = made;
      const own = databaseIdentifier(made.platform, made.platform.primary);
      for (const name of ['first', 'second']) {
        const snapshot = { DBInstanceIdentifier: own, DBSnapshotIdentifier: name };
        await made.clients.rds(east).send(new CreateDBSnapshotCommand(snapshot));
      }
      const cluster = new FakeCluster(['a', 'b', 'c']);
      cluster.add('Deployment', 'gateway', 'image', 3);
      const prometheusUrl = await outboxesDrained();
      // Nobody answers at the damaged one; its name leads to what has it, as in DNS.
      let address = Object.assign(new URL(database.url), { host: '127.0.0.1:1' }).href;
      const aws = made.world({ databaseUrl: () => address, prometheusUrl: () => prometheusUrl });
      const world: RestoreWorld = {
        ...aws,
        inUse: {
          ...aws.inUse,
          ...gatewayRestart(cluster.kubectl),
          use: async (...asked) => {
            await aws.inUse.use(...asked);
            address = database.url;
          },
        },
        verify: async () => [],
        wait: async () => undefined,
      };
      return { ...made, world, own, database, cluster };
    }

    const options = (
      { world, journal }: Pick<Awaited<ReturnType<typeof damaged>>, 'world' | 'journal'>,
      way: RestoreWay,
      more: Partial<RunOptions<RestoreWorld>> = {},
    ): RunOptions<RestoreWorld> =>
      optionsFor(databaseRestore({ region: east, way, at: undefined }), world, {
        journal: journal(west, 'run-1'),
        confirm: async (_, expected) => expected,
        clock: realClock,
        pollSeconds: 0.02,
        ...more,
      });

    it.each([
      ['snapshot', 'RestoreDBInstanceFromDBSnapshot'],
      ['point-in-time', 'RestoreDBInstanceToPointInTime'],
    ] as const)(
      'by %s: a new database takes the name of the damaged one in a new epoch, killed and failed on the way; the policy is enough',
      async (way, restoring) => {
        const place = await damaged();
        const { world, own, database, cluster, clients, front, platform, buckets } = place;
        // Killed when the restore was asked for and nobody has written so.
        const journal = place.journal(west, 'run-1');
        await expect(run(options(place, way, { journal: dyingAt(journal, 'restore') }))).rejects.toThrow(Crash);
        // The old one is put aside, and the new one does not get its name.
        front.failNext('ModifyDBInstance', 1);
        expect(await run(options(place, way, { operator: 'bob' }))).toMatchObject({ is: 'partial', step: 'use' });
        expect(await run(options(place, way, { operator: 'carol' }))).toEqual({ is: 'completed' });

        const { DBInstances = [] } = await clients.rds(east).send(new DescribeDBInstancesCommand({}));
        const names = DBInstances.map(({ DBInstanceIdentifier: name = '' }) => name);
        // Its read replica follows the old one still, and the book says so.
        expect(names.toSorted()).toEqual([own, `${own}-before-restored-run-1`, `${own}-read-1`]);
        expect(await world.inUse.name(east, signal)).toBe('restored-run-1');
        expect(await query(database.url, 'SELECT epoch::int, writer_region, state FROM region_epoch')).toEqual([
          { epoch: 2, writer_region: east, state: 'open' },
        ]);
        expect((await world.claims.read(signal)).agreed).toMatchObject({ epoch: 2, writer: east, phase: 'held' });
        expect(front.rdsCalls.filter(({ action }) => action === restoring)).toHaveLength(1);
        const events = await journal.read();
        expect(events).toContainEqual(
          expect.objectContaining({ step: 'read', facts: expect.objectContaining({ keys: 1 }) }),
        );
        expect(cluster.acts.filter((act) => act.startsWith('patch'))).toEqual(['patch deployment gateway']);
        // What the backup lacks is said, not called none.
        expect(events).toContainEqual(
          expect.objectContaining({ step: 'reingest', note: expect.stringContaining('is lost: there is no archive') }),
        );
        const policy = policyOf('database-restore', platform, buckets);
        expect(refusedCalls(policy, ownCalls(front), platform.account)).toEqual([]);
      },
    );

    it('a dump is refused by name before anything is changed, with the command that restores one by hand', async () => {
      const place = await damaged();
      const from = place.front.calls.length;
      expect(await run(options(place, 'dump'))).toMatchObject({
        is: 'refused',
        step: 'backup',
        because: 'here a database is restored by snapshot or point-in-time, not by dump',
        fix: expect.stringContaining('pg_restore --no-owner'),
      });
      expect(place.front.calls.slice(from).filter(({ service }) => service === 'rds')).toEqual([]);
    });

    it('declined before the new epoch and taken back, it leaves what is in use alone, and nothing of its own', async () => {
      const place = await damaged();
      const { world, own, clients, front, platform, buckets } = place;
      const declined = options(place, 'snapshot', { confirm: async () => 'no' });
      expect(await run(declined)).toMatchObject({ is: 'partial', step: 'seize' });
      expect(await world.restores.view(east, 'restored-run-1', signal)).toBe('ready');
      expect(await undo(options(place, 'snapshot'))).toEqual({ is: 'completed', undone: ['restore'] });
      const { DBInstances = [] } = await clients.rds(east).send(new DescribeDBInstancesCommand({}));
      expect(DBInstances.map(({ DBInstanceIdentifier: name }) => name)).toEqual([own, `${own}-read-1`]);
      expect((await world.claims.read(signal)).agreed).toMatchObject({ epoch: 1, phase: 'held' });
      const policy = policyOf('database-restore', platform, buckets);
      expect(refusedCalls(policy, ownCalls(front), platform.account)).toEqual([]);
    });
  },
);

const dyingAt = (journal: Journal, step: string): Journal => ({
  read: () => journal.read(),
  append: async (position, event) => {
    if (event.is === 'acted' && event.step === step) throw new Crash();
    await journal.append(position, event);
  },
});

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
async function outboxesDrained(): Promise<string> {
  const data = { resultType: 'vector', result: [{ metric: {}, value: [1_767_225_600, '3'] }] };
  const server = createServer((_, response) => response.end(JSON.stringify({ status: 'success', data })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}
