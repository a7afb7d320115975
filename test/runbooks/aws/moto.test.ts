/** The AWS world over HTTP, with AWS's own clients, against moto. */
import {
  CreateDBInstanceCommand,
  CreateDBInstanceReadReplicaCommand,
  CreateDBSnapshotCommand,
  DescribeDBInstancesCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupNames } from '../../../lib/platform/backups.ts';
import { bucketName, databaseIdentifier, objectKeys } from '../../../lib/platform/names.ts';
import { definePlatform, type Platform } from '../../../lib/platform/platform.ts';
import { awsBackups } from '../../../runbooks/aws/backups.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsDatabaseInUse } from '../../../runbooks/aws/database-in-use.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { awsRegionDatabase, describeInstance, roleOf, staysAsItIs } from '../../../runbooks/aws/region-database.ts';
import { awsReadiness } from '../../../runbooks/aws/region-readiness.ts';
import { regionRows } from '../../../runbooks/aws/region-rows.ts';
import { awsRegionTraffic } from '../../../runbooks/aws/region-traffic.ts';
import { readRestored, restoredUrl } from '../../../runbooks/aws/restored-database.ts';
import { backupVerify } from '../../../runbooks/books/backup-verify.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { type AwsFront, startAwsFront } from '../../support/aws/front.ts';
import { freshMoto, type Moto, motoIsInstalled } from '../../support/aws/moto.ts';
import { ownCalls } from '../../support/aws/wire.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { query } from '../../support/query.ts';
import { TwoRegions } from '../books/two-regions.ts';
import { optionsFor } from '../engine/world.ts';

const available = await motoIsInstalled();
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;
/** Tested without moto. */
const elsewhere = { imageIn: async () => 'image', quotaNeeds: () => [] };
const shape = definePlatform(spec());
const source = databaseIdentifier(shape, shape.primary);

describe.skipIf(process.env['CI'] === undefined && !available)(
  'AWS over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 60_000 },
  () => {
    let moto: Moto;
    let front: AwsFront;
    let platform: Platform;
    let clients: AwsClients;
    const options = (region: string) => ({ region, endpoint: front.url, credentials, maxAttempts: 1 });

    beforeEach(async () => {
      moto = await freshMoto();
      platform = definePlatform(spec({ account: moto.account }));
      front = await startAwsFront(moto);
      clients = new AwsClients(front.access);
    });
    afterEach(async () => {
      clients.destroy();
      await front.close();
    });

    async function primaryAndReplica(): Promise<void> {
      await new RDSClient(options(east)).send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: source,
          DBInstanceClass: 'db.r6g.large',
          Engine: 'postgres',
          AllocatedStorage: 100,
          MasterUsername: 'holdfast',
          MasterUserPassword: 'not-a-secret-1',
        }),
      );
      await new RDSClient(options(west)).send(
        new CreateDBInstanceReadReplicaCommand({
          DBInstanceIdentifier: 'db-west',
          SourceDBInstanceIdentifier: `arn:aws:rds:us-east-1:${moto.account}:db:${source}`,
        }),
      );
    }

    it('region-failover promotes the replica in RDS, raises its row in PostgreSQL and puts the takeover object', async () => {
      await primaryAndReplica();
      await new S3Client({ ...options(west), forcePathStyle: true }).send(
        new CreateBucketCommand({
          Bucket: `takeover-west-${moto.account}`,
          CreateBucketConfiguration: { LocationConstraint: west },
        }),
      );
      const database = await migratedDatabase();
      await query(database.url, `UPDATE region_epoch SET writer_region = 'a'`);
      const claims = await TwoRegions.withoutA();
      const traffic = awsRegionTraffic(clients, () => `takeover-west-${moto.account}`);
      const world: RegionWorld = {
        claims: claims.claims,
        database: (region) =>
          region === 'b'
            ? awsRegionDatabase(clients, {
                region: west,
                identifier: 'db-west',
                // As for a database that was brought along.
                stack: undefined,
                rows: regionRows(database.url),
                wait: async () => undefined,
              })
            : claims.database('a'),
        traffic: {
          takeover: (_, stop) => traffic.takeover(west, stop),
          takeOver: (_, runId, epoch, stop) => traffic.takeOver(west, runId, epoch, stop),
          giveBack: (_, stop) => traffic.giveBack(west, stop),
        },
        capacity: claims.capacity,
        verify: async () => [{ check: 'health', is: 'ok', note: '', seconds: 0 }],
        wait: async () => undefined,
      };
      const book = regionFailover({ target: 'b', former: 'a', promoteWith: 'rds' });
      // The control plane of a region in trouble throttles: waited out, by looks and by acts.
      front.throttle(1);
      const outcome = await run(optionsFor(book, world, { confirm: async (_, expected) => expected }));
      expect(outcome).toEqual({ is: 'completed' });
      const { DBInstances } = await new RDSClient(options(west)).send(
        new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'db-west' }),
      );
      expect(DBInstances?.map(roleOf)).toEqual(['primary']);
      expect(await query(database.url, 'SELECT epoch::int, writer_region, state FROM region_epoch')).toEqual([
        { epoch: 2, writer_region: 'b', state: 'open' },
      ]);
      expect(await traffic.takeover(west, signal)).toBe('run-1');
      await traffic.giveBack(west, signal);
      expect(await traffic.takeover(west, signal)).toBeUndefined();
      // Asked again, too late: harmless.
      await world.database('b').promote('late', signal);
      expect((await world.database('b').view(signal)).role).toBe('primary');
      await database.drop();
    });

    it.each(['snapshot', 'point-in-time'] as const)(
      'backup-verify makes a database of the newest backup (%s) beside what is in use, reads it, and takes it away again',
      async (way) => {
        await primaryAndReplica();
        for (const name of ['first', 'second']) {
          await new RDSClient(options(east)).send(
            new CreateDBSnapshotCommand({ DBInstanceIdentifier: source, DBSnapshotIdentifier: name }),
          );
        }
        const s3 = new S3Client({ ...options(east), forcePathStyle: true });
        const Bucket = bucketName(platform, platform.primary, 'backup');
        await s3.send(new CreateBucketCommand({ Bucket }));
        const folders = [objectKeys.vaultSnapshots, objectKeys.configurationBackups, objectKeys.redisSnapshots];
        for (const folder of folders) await s3.send(new PutObjectCommand({ Bucket, Key: `${folder}1`, Body: 'x' }));
        const database = await migratedDatabase();
        await query(
          database.url,
          `INSERT INTO api_key (key_hash, key_name) VALUES ('${'b'.repeat(64)}', 'sk-...kept')`,
        );
        const backups = awsBackups(clients, {
          platform,
          regionOf: () => platform.primary,
          databaseUrl: () => database.url,
        });
        const { restores } = backups;
        const begun: string[] = [];
        const hosts: string[] = [];
        const world = {
          ...backups,
          restores: {
            ...restores,
            begin: async (...request: Parameters<typeof restores.begin>) => {
              begun.push(request[0].backup);
              await restores.begin(...request);
              // A resumed run asks twice.
              await restores.begin(...request);
            },
            // No PostgreSQL stands behind moto's instance: its address is asked for, and another database is read.
            read: async (...[region, name, stop]: Parameters<typeof restores.read>) => {
              const instance = await describeInstance(clients, region, name, stop);
              hosts.push(restoredUrl(database.url, instance?.Endpoint?.Address ?? '', instance?.Endpoint?.Port));
              return readRestored(database.url, stop);
            },
          },
          verify: async () => [],
        };
        const journal = new MemoryJournal();
        const book = backupVerify({ region: east, way, at: undefined });
        expect(await run(optionsFor(book, world, { journal }))).toEqual({ is: 'completed' });
        const policy = policyOf('backup-verify', platform, { claims: [], takeovers: [], journals: ['journals'] });
        expect(refusedCalls(policy, ownCalls(front), platform.account)).toEqual([]);
        expect(begun).toEqual([way === 'snapshot' ? 'second' : source]);
        expect(hosts[0]).toMatch(/@restored-run-1\..*:5432\//);
        expect(await journal.read()).toContainEqual(
          expect.objectContaining({ step: 'read', facts: expect.objectContaining({ keys: 1, spendRows: 0 }) }),
        );
        const { DBInstances } = await new RDSClient(options(east)).send(new DescribeDBInstancesCommand({}));
        expect(DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual([source]);
        await database.drop();
      },
    );

    it('a restored database takes the name of the old one, which stays; asked again, nothing changes', async () => {
      await primaryAndReplica();
      const place = {
        platform,
        regionOf: () => platform.primary,
        databaseUrl: () => 'postgresql://a:b@nowhere/c',
      };
      const { restores } = awsBackups(clients, place);
      const used = {
        identifierIn: () => source,
        databaseUrl: place.databaseUrl,
        oldestUnshippedSeconds: async () => 3,
        wait: async () => undefined,
      };
      const inUse = awsDatabaseInUse(clients, used);
      expect(await inUse.name(east, signal)).toBe(source);
      const request = {
        region: east,
        way: 'point-in-time',
        backup: source,
        at: undefined,
        as: 'restored-r-1',
      } as const;
      await restores.begin(request, 'token', signal, () => undefined);
      for (const token of ['first', 'after a crash']) await inUse.use(east, 'restored-r-1', token, signal);
      expect(await inUse.name(east, signal)).toBe('restored-r-1');
      // A run that goes on finds its database under the new name, and restores no second one.
      expect(await restores.view(east, 'restored-r-1', signal)).toBe('ready');
      const { DBInstances = [] } = await new RDSClient(options(east)).send(new DescribeDBInstancesCommand({}));
      const names = DBInstances.map(({ DBInstanceIdentifier: name = '' }) => name);
      expect(names.toSorted()).toEqual([source, `${source}-before-restored-r-1`]);
      expect(DBInstances.find(({ DBInstanceIdentifier: name }) => name === source)).toMatchObject({
        DeletionProtection: true,
      });
      // What nobody can count is not called none.
      expect(await inUse.missingSpend(east, signal)).toEqual({ events: undefined, isBeingShipped: false });
      await expect(inUse.reingest(east, 'token', signal)).rejects.toThrow('no archive');
      const archived = awsDatabaseInUse(clients, { ...used, reingest: async () => ({ missing: 2, unfinished: 1 }) });
      expect(await archived.missingSpend(east, signal)).toMatchObject({ events: 'archived' });
      await archived.reingest(east, 'token', signal);
      expect(await archived.missingSpend(east, signal)).toMatchObject({ events: 0, lost: 2, unfinished: 1 });
    });

    it('a standby whose secret is missing or another version than that of the writer is not ready', async () => {
      const secrets = (region: string) => new SecretsManagerClient(options(region));
      const readiness = awsReadiness(clients, {
        copiedSecrets: ['database'],
        ownSecrets: ['gateway'],
        backups: backupNames,
        newestBackup: async () => ({ id: '1', takenAt: '2026-01-01T00:00:00Z', ageSeconds: 60 }),
        ...elsewhere,
      });
      await secrets(east).send(
        new CreateSecretCommand({
          Name: 'database',
          SecretString: 'not-a-secret',
          AddReplicaRegions: [{ Region: west }],
        }),
      );
      expect((await readiness(west, east, signal)).slice(0, 2)).toEqual([
        { check: 'secrets', is: 'failed', note: 'gateway is missing' },
        { check: 'backups', is: 'ok', note: 'every kind is young enough' },
      ]);
      await secrets(west).send(new CreateSecretCommand({ Name: 'gateway', SecretString: 'not-a-secret' }));
      expect((await readiness(west, east, signal))[0]).toMatchObject({ is: 'ok' });
      await secrets(west).send(new CreateSecretCommand({ Name: 'alone', SecretString: 'not-a-secret' }));
      await secrets(east).send(new CreateSecretCommand({ Name: 'alone', SecretString: 'not-a-secret' }));
      const apart = awsReadiness(clients, {
        copiedSecrets: ['alone'],
        ownSecrets: [],
        backups: backupNames,
        newestBackup: () => Promise.reject(new Error('the bucket does not answer')),
        ...elsewhere,
      });
      expect((await apart(west, east, signal)).slice(0, 2)).toEqual([
        { check: 'secrets', is: 'failed', note: 'alone is another version than in us-east-1' },
        { check: 'backups', is: 'unknown', note: 'the bucket does not answer' },
      ]);
    });

    it('backup-verify ends before it restores anything when a kind of backup is missing', async () => {
      await primaryAndReplica();
      await new S3Client({ ...options(east), forcePathStyle: true }).send(
        new CreateBucketCommand({ Bucket: bucketName(platform, platform.primary, 'backup') }),
      );
      const backups = awsBackups(clients, { platform, regionOf: () => platform.primary, databaseUrl: () => '' });
      const book = backupVerify({ region: east, way: 'snapshot', at: undefined });
      expect(await run(optionsFor(book, { ...backups, verify: async () => [] }, {}))).toMatchObject({
        is: 'refused',
        because: expect.stringContaining('there is no vault-snapshot'),
      });
      expect(await backups.newestBackup('vault-snapshot', east, signal)).toBeUndefined();
    });
  },
);

it.each([
  ['storage-full', true],
  ['incompatible-restore', true],
  ['stopped', true],
  ['modifying', false],
  ['rebooting', false],
])('a damaged database that is %s is waited for in vain: %s', (status, stays) => {
  expect(staysAsItIs(status)).toBe(stays);
});

describe('what RDS says of an instance', () => {
  it.each([
    [{ DBInstanceStatus: 'available', ReadReplicaSourceDBInstanceIdentifier: 'arn' }, 'replica'],
    [{ DBInstanceStatus: 'modifying', ReadReplicaSourceDBInstanceIdentifier: 'arn' }, 'being-promoted'],
    [{ DBInstanceStatus: 'rebooting' }, 'being-promoted'],
    [{ DBInstanceStatus: 'available' }, 'primary'],
    [{ DBInstanceStatus: 'backing-up', ReadReplicaSourceDBInstanceIdentifier: 'arn' }, 'replica'],
  ] as const)('%j is %s', (instance, role) => {
    expect(roleOf(instance)).toBe(role);
  });
});
