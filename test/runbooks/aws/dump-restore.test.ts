/**
 * database-restore by dump, over the wire: what pg_dump wrote lies in moto's S3 and is loaded by the real pg_restore into a real
 * PostgreSQL that answers for the instance that moto's RDS has made.
 */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { Client } from 'pg';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { bucketName, gatewaySecretName } from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { loginInSecretsManager } from '../../../runbooks/aws/gateway-login.ts';
import { isLetIn, withLogin } from '../../../runbooks/aws/login-role.ts';
import type { PgRestoreProgram } from '../../../runbooks/aws/pg-restore.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { databaseRestore, type RestoreWorld } from '../../../runbooks/books/database-restore.ts';
import { rehearse } from '../../../runbooks/engine/rehearse.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { takeDump } from '../../../runbooks/lab/lab-dumps.ts';
import { findPostgresClient } from '../../../runbooks/lab/postgres-client.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { type Damaged, damagedPlatform, dyingAt } from '../../support/aws/damaged-platform.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { ownCalls, preparing, startWire } from '../../support/aws/wire.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { managedPostgres } from '../../support/managed-postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Crash, optionsFor, realClock } from '../engine/world.ts';

const available = await motoIsInstalled();
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const loginOfEast = { user: 'holdfast_us_east_1_a', password: 'of-the-gateways' };

describe.skipIf(process.env['CI'] === undefined && !available)(
  'database-restore by dump over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 120_000 },
  () => {
    let standing: Damaged | undefined;
    afterEach(() => standing?.close());

    /** @param url of what answers for every database that RDS names, as its administrator. */
    async function place(url: string) {
      const directory = await temporaryDirectory();
      const { command, environment = {} } = (await findPostgresClient())('pg_restore', [], {});
      const program = async (name: string, text: string): Promise<string> => {
        const file = join(directory, name);
        await writeFile(file, `#!/bin/bash\nREAL=${command}\n${text}\n`);
        await chmod(file, 0o755);
        return file;
      };
      const gatewayUrl = withLogin(url, loginOfEast);
      const secret = JSON.stringify({ data: { DATABASE_URL: Buffer.from(gatewayUrl).toString('base64') } });
      // The clusters of the other regions do not answer, or hold no such Secret.
      const kubectl = await program('kubectl', `case "$2" in ${east}) echo '${secret}';; ${west}) exit 1;; esac`);
      const pgRestore: PgRestoreProgram = { command: await program('pg_restore', real), environment };
      const made = await damagedPlatform(east, url, { pgRestore, kubectl });
      standing = made;
      return { ...made, pgRestore, gatewayUrl, program, dump: () => dumpInto(made, join(directory, 'dump')) };
    }
    const real = 'exec "$REAL" "$@"';

    /** Of a database with one key, into the region's bucket. @returns what S3 calls it. */
    async function dumpInto({ clients, platform }: Damaged, file: string): Promise<string> {
      const source = await migratedDatabase();
      onTestFinished(() => source.drop());
      await query(source.url, `INSERT INTO api_key (key_hash, key_name) VALUES ('${'c'.repeat(64)}', 'sk-...kept')`);
      await query(source.url, `UPDATE region_epoch SET writer_region = '${east}'`);
      await takeDump(await findPostgresClient(), source.url, file, signal);
      const Bucket = bucketName(platform, platform.primary, 'backup');
      const Key = 'postgresql/holdfast-day-07.dump';
      await clients.s3(east).send(new PutObjectCommand({ Bucket, Key, Body: await readFile(file) }));
      return `s3://${Bucket}/${Key}`;
    }

    const options = (
      { restoreWorld: world, journal }: Pick<Damaged, 'restoreWorld' | 'journal'>,
      more: Partial<RunOptions<RestoreWorld>> = {},
      dump?: string,
    ): RunOptions<RestoreWorld> =>
      optionsFor(databaseRestore({ region: east, way: 'dump', at: undefined, dump }), world, {
        journal: journal(west, 'run-1'),
        confirm: async (_, expected) => expected,
        clock: realClock,
        pollSeconds: 0.02,
        ...more,
      });

    const creations = ({ front }: Damaged) => ownCalls(front).filter(({ action }) => action === 'CreateDBInstance');

    it('a new database takes the name of the damaged one with all that the dump holds and the gateways’ login; killed on the way it is made and loaded once; the policy is enough', async () => {
      const managed = await managedPostgres();
      const here = await place(managed.url);
      const { restoreWorld: world, own, clients, front, platform, buckets, gatewayUrl } = here;
      const id = await here.dump();
      const notes: string[] = [];
      const journal = here.journal(west, 'run-1');
      // Killed when all is loaded and nobody has written so.
      const killed = options(here, { journal: dyingAt(journal, 'restore'), onWaiting: (_, note) => notes.push(note) });
      await expect(run(killed)).rejects.toThrow(Crash);
      expect(await run(options(here, { operator: 'bob' }))).toEqual({ is: 'completed' });

      expect(notes).toContain('all rows are loaded; indexes are built');
      expect(notes).toContainEqual(expect.stringContaining(`cannot see what the gateways of ${west} log in with`));
      expect(creations(here)).toHaveLength(1);
      const { DBInstances: [inUse] = [] } = await clients
        .rds(east)
        .send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: own }));
      expect(inUse).toMatchObject({
        EngineVersion: '18.6',
        StorageEncrypted: true,
        DeletionProtection: true,
        MasterUsername: 'holdfast',
        TagList: expect.arrayContaining([{ Key: 'holdfast:dump', Value: id }]),
      });
      expect(await world.inUse.name(east, signal)).toBe('restored-run-1');
      expect(await journal.read()).toContainEqual(
        expect.objectContaining({ step: 'read', facts: expect.objectContaining({ keys: 1 }) }),
      );
      expect(await isLetIn(managed.url, loginOfEast, signal)).toBe(true);
      expect(await query(gatewayUrl, 'SELECT epoch::int, writer_region, state FROM region_epoch')).toEqual([
        { epoch: 2, writer_region: east, state: 'open' },
      ]);
      expect(
        await query(managed.superuserUrl, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
      ).toEqual([{ tableowner: 'holdfast_owner' }]);
      expect(
        await query(managed.superuserUrl, "SELECT reltuples::int FROM pg_class WHERE relname = 'api_key'"),
      ).toEqual([{ reltuples: 1 }]);
      const policy = policyOf('database-restore', platform, buckets);
      expect(refusedCalls(policy, ownCalls(front), platform.account)).toEqual([]);
    });

    it('a load that breaks off or is stopped leaves nothing behind, it is not ready while it is loaded, and the next run loads it whole', async () => {
      const { url, superuserUrl } = await managedPostgres();
      const here = await place(url);
      const view = () => here.restoreWorld.restores.view(east, 'restored-run-1', signal);
      const tables = () => query(superuserUrl, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
      await here.dump();
      await here.program('pg_restore', `[ "$1" = --version ] && ${real}\nhead --bytes=-200 | "$REAL" "$@"`);
      expect(await run(options(here))).toMatchObject({
        is: 'partial',
        step: 'restore',
        because: expect.stringMatching(/^pg_restore failed, and left nothing behind: .*end of file/s),
      });
      expect(await tables()).toEqual([]);
      expect(await view()).toBe('empty');

      await here.program('pg_restore', real);
      // A name is taken, by whom is not decided yet: the load waits in the middle.
      const inTheWay = new Client({ connectionString: superuserUrl });
      await inTheWay.connect();
      onTestFinished(() => inTheWay.end());
      await inTheWay.query('BEGIN; CREATE TABLE public.team (id int)');
      const stop = new AbortController();
      const running = run(options(here, { signal: stop.signal }));
      await until(async () => (await view()) === 'creating', 60_000);
      stop.abort(new Error('the operator stops'));
      expect(await running).toMatchObject({ is: 'partial', step: 'restore', because: 'the operator stops' });
      await until(async () => (await view()) === 'empty', 30_000);
      await inTheWay.query('ROLLBACK');
      expect(await tables()).toEqual([]);

      expect(await run(options(here, { operator: 'bob' }))).toEqual({ is: 'completed' });
      expect(creations(here)).toHaveLength(1);
      expect(await query(here.gatewayUrl, 'SELECT count(*)::int AS keys FROM api_key')).toEqual([{ keys: 1 }]);
    });

    it('is refused before anything is changed: no dump, none of that name, an old one, no program, another user; rehearsing changes nothing', async () => {
      const here = await place('postgresql://holdfast:secret@127.0.0.1:1/holdfast');
      const { restoreWorld: world } = here;
      const refused = (fault: string, fix: string) => ({
        is: 'refused',
        step: 'backup',
        because: expect.stringContaining(fault),
        fix: expect.stringContaining(fix),
      });
      expect(await run(options(here))).toMatchObject(refused(`there is no postgresql-dump in ${east}`, 'another way'));
      const elsewhere = 's3://somebody-elses/postgresql/x.dump';
      expect(await run(options(here, {}, elsewhere))).toMatchObject(
        refused(`dump: there is no ${elsewhere}`, 'another'),
      );
      const id = await here.dump();
      const missing = id.replace('07', '08');
      expect(await run(options(here, {}, missing))).toMatchObject(refused(`dump: there is no ${missing}`, 'another'));
      const newest = { id, takenAt: '2026-01-01T00:00:00.000Z', ageSeconds: 27 * 3_600 };
      const old = { ...world, newestBackup: async () => newest };
      expect(await run({ ...options(here), world: old })).toMatchObject(
        refused(`${id}, is 27 hours old`, `dump=${id}`),
      );

      const rehearsal = await rehearse(options({ ...here, restoreWorld: old }, {}, id).book, old, signal);
      expect(rehearsal.steps[0]).toMatchObject({ verdict: { is: 'done', facts: { backup: id } } });
      await here.program('pg_restore', 'echo "pg_restore (PostgreSQL) 15.4"');
      expect(await run(options(here))).toMatchObject(
        refused('pg_restore: the one here is of PostgreSQL 15, and the database of 18', 'postgresql-client-18'),
      );
      await here.program('pg_restore', 'exit 127');
      expect(await run(options(here))).toMatchObject(refused('there is none on this machine', 'postgresql-client-18'));
      const databaseUrl = (): string => 'postgresql://ana:secret@127.0.0.1:1/holdfast';
      await here.program('pg_restore', real);
      const another = here.world({ databaseUrl, pgRestore: here.pgRestore });
      expect(await another.restores.obstacle?.('dump', east, signal)).toEqual({
        because: 'HOLDFAST_DATABASE_URL_US_EAST_1 logs in as ana, and the administrator of the database is holdfast',
        fix: 'put holdfast and its password there: the new database is made with them',
      });
      expect(creations(here)).toEqual([]);
      expect((await here.clients.rds(east).send(new DescribeDBInstancesCommand({}))).DBInstances).toHaveLength(2);
    });

    it('the gateways’ login is read from Secrets Manager where that is what fills their Secret', async () => {
      const moto = await freshMoto();
      const platform = definePlatform(spec({ account: moto.account }));
      const wire = await startWire({ services: {}, moto });
      const [clients, before] = [new AwsClients(wire.access), new AwsClients(preparing(wire.access))];
      onTestFinished(async () => {
        for (const made of [clients, before]) made.destroy();
        await wire.close();
      });
      const Name = gatewaySecretName(platform);
      const login = () => loginInSecretsManager(clients, east, Name, signal);
      expect(await login()).toBeUndefined();
      const SecretString = JSON.stringify({ DATABASE_URL: withLogin('postgresql://db:5432/holdfast', loginOfEast) });
      await before.secretsManager(east).send(new CreateSecretCommand({ Name, SecretString }));
      expect(await login()).toEqual(loginOfEast);
      const policy = policyOf('database-restore', platform, { claims: [], takeovers: [], journals: [] });
      expect(refusedCalls(policy, ownCalls(wire), platform.account)).toEqual([]);
    });
  },
);
