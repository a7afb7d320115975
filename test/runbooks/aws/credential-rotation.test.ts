/**
 * credential-rotation over the wire: versions by moto's Secrets Manager, logins by a real PostgreSQL whose administrator is no
 * superuser (as in RDS), tokens by a real Redis behind ElastiCache's calls (botocore, elasticache/2015-02-02).
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import {
  cacheName,
  cacheSecretName,
  databaseSecretName,
  gatewaySecretName,
  secretNameOf,
} from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { takesToken } from '../../../runbooks/aws/cache-token.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsCredentials } from '../../../runbooks/aws/credentials.ts';
import type { Kubectl } from '../../../runbooks/aws/kubectl.ts';
import { ensureLogin, isLetIn, withLogin } from '../../../runbooks/aws/login-role.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { credentialRotation } from '../../../runbooks/books/credential-rotation.ts';
import { type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startRedis } from '../../../runbooks/lab/redis.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { FakeCluster } from '../../support/aws/cluster.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { ownCalls, preparing, result, startWire, type Wire, type WireService } from '../../support/aws/wire.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { endsAlike } from '../books/crashes.ts';
import { optionsFor } from '../engine/world.ts';

const available = await motoIsInstalled();
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const confirm = async (_: unknown, expected: string): Promise<string> => expected;
const platform = definePlatform(spec());
const names = {
  gateway: gatewaySecretName(platform),
  database: databaseSecretName(platform),
  cache: cacheSecretName(platform),
  pooler: secretNameOf(platform, 'pgbouncer-secrets'),
} as const;

describe.skipIf(process.env['CI'] === undefined && !available)(
  'credential-rotation over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 60_000 },
  () => {
    let wire: Wire | undefined;
    let clients: AwsClients | undefined;
    const close = async (): Promise<void> => {
      clients?.destroy();
      await wire?.close();
    };
    afterEach(close);

    interface Place {
      readonly databaseUrl?: string;
      readonly cacheUrl?: string;
      readonly hasPooler?: boolean;
      readonly services?: Readonly<Record<string, WireService>>;
      readonly roles?: string;
      readonly owner?: string;
    }

    async function worldOf(members: Readonly<Record<string, string>>, place: Place) {
      await close();
      const moto = await freshMoto();
      const aws = await startWire({ services: place.services ?? {}, moto });
      const made = new AwsClients(aws.access);
      const before = new AwsClients(preparing(aws.access));
      wire = aws;
      clients = made;
      // By its stage: without one moto gives the version that was put last, AWS the current one.
      const secretIn = async (region: string, SecretId: string): Promise<string> =>
        (await before.secretsManager(region).send(new GetSecretValueCommand({ SecretId, VersionStage: 'AWSCURRENT' })))
          .SecretString ?? '';
      const texts: readonly (readonly [string, string])[] = [
        [names.gateway, JSON.stringify(members)],
        [names.database, JSON.stringify({ username: 'holdfast', password: 'first' })],
        [names.cache, 'first-token'],
        [names.pooler, JSON.stringify({ 'userlist.txt': '"holdfast" "first"\n' })],
      ];
      for (const region of [east, west]) {
        for (const [Name, SecretString] of texts) {
          await before.secretsManager(region).send(new CreateSecretCommand({ Name, SecretString }));
        }
      }
      const cluster = new FakeCluster(['a', 'b', 'c']);
      cluster.add('StatefulSet', 'gateway', 'image', 3);
      cluster.add('Deployment', 'pgbouncer', 'image', 3);
      /** External Secrets: what an annotation has it do. */
      const kubectl: Kubectl = async (region, args, stop, input) => {
        const [verb, what = ''] = args;
        const [kind, name = ''] = what.split('/');
        if (verb !== 'annotate' || kind !== 'externalsecret') return cluster.kubectl(region, args, stop, input);
        cluster.acts.push(`sync ${name}`);
        const source = name === 'gateway-secrets' ? names.gateway : names.pooler;
        cluster.secrets.set(name, JSON.parse(await secretIn(region, source)));
        return '';
      };
      const { roles = 'unused', owner = `${roles}_owner` } = place;
      const credentials = awsCredentials(made, {
        kubectl,
        regions: [east, west],
        gatewaySecret: names.gateway,
        databaseSecret: names.database,
        cacheSecret: names.cache,
        cache: cacheName(platform),
        hasPooler: place.hasPooler ?? false,
        roles: { owner, login: (region, turn) => `${roles}_${region.replaceAll('-', '_')}_${turn}` },
        writer: async () => east,
        databaseUrl: () => place.databaseUrl ?? '',
        cacheUrl: () => place.cacheUrl ?? '',
        wait: (_, stop) => sleep(5, undefined, { signal: stop }),
      });
      const refused = (): string[] => {
        const policy = policyOf('credential-rotation', platform, { claims: [], takeovers: [], journals: [] });
        return refusedCalls(policy, ownCalls(aws), platform.account);
      };
      const world = { credentials, verify: async () => [], wait: async () => undefined };
      return { world, cluster, secretIn, refused };
    }

    /** As RDS gives it: an administrator who may make roles and databases and is no superuser, and whose the tables are. */
    async function administered() {
      const superuser = await freshDatabase();
      const user = `adm_${randomBytes(5).toString('hex')}`;
      const password = 'first';
      await query(superuser.url, `CREATE ROLE ${user} LOGIN CREATEROLE CREATEDB PASSWORD '${password}'`);
      await query(superuser.url, `ALTER DATABASE ${new URL(superuser.url).pathname.slice(1)} OWNER TO ${user}`);
      const url = withLogin(superuser.url, { user, password });
      await migrate(url);
      return { url, user, roles: user, superuser: superuser.url };
    }

    const book = credentialRotation({ region: east, credential: 'database', overlapSeconds: 1 });

    it('gives gateways a login of their own beside the first one, which ends when no region uses it any more', async () => {
      const database = await administered();
      const members = { DATABASE_URL: database.url, DIRECT_DATABASE_URL: database.url, LITELLM_MASTER_KEY: 'sk-kept' };
      const { world, cluster, secretIn, refused } = await worldOf(members, {
        databaseUrl: database.url,
        roles: database.roles,
      });
      const journal = new MemoryJournal();
      const stopped = await run(optionsFor(book, world, { confirm, journal }));
      expect(stopped).toMatchObject({
        is: 'partial',
        step: 'retire',
        because: expect.stringContaining(`${west} uses`),
      });
      const used: Record<string, string> = JSON.parse(await secretIn(east, names.gateway));
      const first = `${database.roles}_us_east_1_a`;
      expect(new URL(used['DATABASE_URL'] ?? '').username).toBe(first);
      expect(used['DIRECT_DATABASE_URL']).toBe(used['DATABASE_URL']);
      expect(used['LITELLM_MASTER_KEY']).toBe('sk-kept');
      // What it makes belongs to all of them: a migration of the next release, run by either, is the other's, too.
      await query(used['DATABASE_URL'] ?? '', 'CREATE TABLE of_the_next_release (id int)');
      await query(database.url, 'INSERT INTO of_the_next_release VALUES (1); DROP TABLE of_the_next_release');
      expect(
        cluster.workloads.get('gateway')?.pods.map(({ annotations }) => annotations['holdfast/secret-version']),
      ).toEqual(Array(3).fill('version-run-1'));
      const there = credentialRotation({ region: west, credential: 'database', overlapSeconds: 1 });
      // The administrator's own password has a successor, too: the stacks read it where it was.
      expect(await run(optionsFor(there, world, { confirm, runId: 'run-2' }))).toEqual({ is: 'completed' });
      expect(await isLetIn(database.url, { user: database.user, password: 'first' }, signal)).toBe(false);
      const owned: { username: string; password: string } = JSON.parse(await secretIn(east, names.database));
      expect(await isLetIn(database.url, { user: owned.username, password: owned.password }, signal)).toBe(true);
      expect(refused()).toEqual([]);
      expect(JSON.stringify(await journal.read())).not.toContain(new URL(used['DATABASE_URL'] ?? '').password);
    });

    it('can be taken back until the old one is refused; then the next rotation does not find one that is pending', async () => {
      const database = await administered();
      const { world, secretIn } = await worldOf(
        { DATABASE_URL: database.url },
        { databaseUrl: database.url, roles: database.roles },
      );
      const journal = new MemoryJournal();
      await run(optionsFor(book, world, { confirm: async () => '', journal }));
      expect(await undo(optionsFor(book, world, { confirm, journal }))).toEqual({
        is: 'completed',
        undone: ['hand-out', 'accept', 'stage'],
      });
      expect(JSON.parse(await secretIn(east, names.gateway))).toEqual({ DATABASE_URL: database.url });
      const view = await world.credentials.view('database', east, signal);
      expect(view).toMatchObject({ pending: undefined, accepted: [view.current] });
    });

    it('killed around its acts and resumed, it ends alike, with one login made', async () => {
      const database = await administered();
      let turn = 0;
      const { crashes } = await endsAlike(
        book,
        async () => {
          const roles = `${database.roles}_${++turn}`;
          // As the rotation before has left it, with logins of its own for each world.
          const login = { user: `${roles}_us_east_1_b`, password: 'b' };
          const owner = `${database.user}_owner`;
          await ensureLogin(database.url, owner, login, signal);
          const members = { DATABASE_URL: withLogin(database.url, login) };
          const { world, cluster } = await worldOf(members, { databaseUrl: database.url, roles, owner });
          return {
            world,
            state: () => ({ acts: cluster.acts }),
          };
        },
        (event: JournalEvent) => event.is === 'acted' && ['accept', 'hand-out', 'retire'].includes(event.step),
      );
      expect(crashes).toBe(6);
    });

    it('lets the new login in at PgBouncer before gateways use it', async () => {
      const database = await administered();
      const { world, cluster } = await worldOf(
        { DATABASE_URL: database.url },
        { databaseUrl: database.url, roles: database.roles, hasPooler: true },
      );
      await run(optionsFor(book, world, { confirm }));
      const lines = cluster.secrets.get('pgbouncer-secrets')?.['userlist.txt']?.split('\n') ?? [];
      expect(lines.map((line) => line.split(' ')[0])).toEqual(['"holdfast"', `"${database.roles}_us_east_1_a"`, '']);
      expect(cluster.acts.indexOf('sync pgbouncer-secrets')).toBeLessThan(cluster.acts.indexOf('sync gateway-secrets'));
    });

    it('gives the cache a second token beside the first, and takes the first one away', async () => {
      const directory = await temporaryDirectory();
      const redis = await startRedis({ port: await freePort(), directory });
      onTestFinished(() => redis.stop());
      const admin = new Redis(redis.url, { lazyConnect: true, username: 'operator', password: 'o' });
      onTestFinished(() => admin.disconnect());
      const first = new Redis(redis.url);
      await first.call('ACL', 'SETUSER', 'operator', 'on', '>o', '~*', '+@all');
      await first.call('ACL', 'SETUSER', 'default', 'resetpass', '>first-token');
      first.disconnect();
      const strategies: string[] = [];
      const elasticache: WireService = async ({ action, fields }) => {
        const [token = '', strategy = ''] = [fields.get('AuthToken'), fields.get('AuthTokenUpdateStrategy')].map(
          String,
        );
        strategies.push(strategy);
        await admin.call('ACL', 'SETUSER', 'default', ...(strategy === 'SET' ? ['resetpass'] : []), `>${token}`);
        return result(action, '<ReplicationGroup/>');
      };
      const rotation = credentialRotation({ region: east, credential: 'cache', overlapSeconds: 1 });
      const members = { REDIS_URL: redis.url.replace('redis://', 'redis://:first-token@') };
      const { world, secretIn, refused } = await worldOf(members, { cacheUrl: redis.url, services: { elasticache } });
      expect(await run(optionsFor(rotation, world, { confirm }))).toEqual({ is: 'completed' });
      expect(strategies).toEqual(['ROTATE', 'SET']);
      expect(refused()).toEqual([]);
      expect(await takesToken(redis.url, 'first-token', signal)).toBe(false);
      const token = await secretIn(east, names.cache);
      expect(await takesToken(redis.url, token, signal)).toBe(true);
      expect(new URL(JSON.parse(await secretIn(east, names.gateway)).REDIS_URL).password).toBe(token);
    });

    it('refuses what it cannot give a successor beside the first, and says what to do', async () => {
      const { world } = await worldOf({ LITELLM_MASTER_KEY: 'sk-1' }, {});
      await expect(world.credentials.view('master-key', east, signal)).rejects.toThrow(
        'gateways accept one master key',
      );
      await expect(world.credentials.view('provider/openai', east, signal)).rejects.toThrow('a second key');
    });
  },
);
