/**
 * database-restore over the wire, from RDS' own backups: snapshots, restores and names by moto's RDS, claim and journal in S3,
 * spend by Prometheus' API. Behind every instance that RDS names stands one real PostgreSQL, which only RDS' answers lead to.
 */
import { CreateDBSnapshotCommand, DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import type { RestoreWay } from '../../../runbooks/books/backup-world.ts';
import { databaseRestore, type RestoreWorld } from '../../../runbooks/books/database-restore.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { type Damaged, damagedPlatform, dyingAt } from '../../support/aws/damaged-platform.ts';
import { motoIsInstalled } from '../../support/aws/moto.ts';
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
    let standing: Damaged | undefined;
    afterEach(() => standing?.close());

    async function damaged() {
      const database = await migratedDatabase();
      onTestFinished(() => database.drop());
      await query(database.url, `INSERT INTO api_key (key_hash, key_name) VALUES ('${'c'.repeat(64)}', 'sk-...kept')`);
      await query(database.url, `UPDATE region_epoch SET writer_region = '${east}'`);
      const made = await damagedPlatform(east, database.url);
      standing = made;
      for (const name of ['first', 'second']) {
        const snapshot = { DBInstanceIdentifier: made.own, DBSnapshotIdentifier: name };
        await made.clients.rds(east).send(new CreateDBSnapshotCommand(snapshot));
      }
      return { ...made, database };
    }

    const options = (
      { restoreWorld: world, journal }: Pick<Damaged, 'restoreWorld' | 'journal'>,
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
        const { restoreWorld: world, own, database, cluster, clients, front, platform, buckets } = place;
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

    it('declined before the new epoch and taken back, it leaves what is in use alone, and nothing of its own', async () => {
      const place = await damaged();
      const { restoreWorld: world, own, clients, front, platform, buckets } = place;
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
