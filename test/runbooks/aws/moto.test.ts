/** The AWS world over HTTP, with AWS's own clients, against moto. */
import {
  CreateDBInstanceCommand,
  CreateDBInstanceReadReplicaCommand,
  CreateDBSnapshotCommand,
  DescribeDBInstancesCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsRegionDatabase, roleOf } from '../../../runbooks/aws/region-database.ts';
import { regionRows } from '../../../runbooks/aws/region-rows.ts';
import { awsRegionTraffic } from '../../../runbooks/aws/region-traffic.ts';
import { awsRestores, newestSnapshot } from '../../../runbooks/aws/restores.ts';
import { awsShares } from '../../../runbooks/aws/shares.ts';
import { backupVerify } from '../../../runbooks/books/backup-verify.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { type Moto, motoIsInstalled, startMoto } from '../../support/aws/moto.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { query } from '../../support/query.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { TwoRegions } from '../books/two-regions.ts';
import { optionsFor } from '../engine/world.ts';
import { type MendedMoto, mendMoto } from './mended-moto.ts';

const available = await motoIsInstalled();
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;

describe.skipIf(process.env['CI'] === undefined && !available)(
  'AWS over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 60_000 },
  () => {
    let moto: Moto;
    let mended: MendedMoto;
    let clients: AwsClients;
    const options = (region: string) => ({ region, endpoint: mended.url, credentials, maxAttempts: 1 });

    beforeAll(async () => {
      moto = await startMoto('111111111111');
      mended = await mendMoto(moto.url);
      clients = new AwsClients({ endpoint: mended.url, credentials });
    });
    afterAll(async () => {
      clients.destroy();
      mended.close();
      await moto.close();
    });
    beforeEach(() => moto.reset());

    async function primaryAndReplica(): Promise<void> {
      await new RDSClient(options(east)).send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'db-east',
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
          SourceDBInstanceIdentifier: 'arn:aws:rds:us-east-1:111111111111:db:db-east',
        }),
      );
    }

    it('region-failover promotes the replica in RDS, raises its row in PostgreSQL and puts the takeover object', async () => {
      await primaryAndReplica();
      await new S3Client({ ...options(west), forcePathStyle: true }).send(
        new CreateBucketCommand({ Bucket: 'takeover-west', CreateBucketConfiguration: { LocationConstraint: west } }),
      );
      const database = await migratedDatabase();
      await query(database.url, `UPDATE region_epoch SET writer_region = 'a'`);
      const claims = await TwoRegions.withoutA();
      const traffic = awsRegionTraffic(clients, () => 'takeover-west');
      const world: RegionWorld = {
        claims: claims.claims,
        database: (region) =>
          region === 'b'
            ? awsRegionDatabase(clients, {
                region: west,
                identifier: 'db-west',
                stack: 'data',
                rows: regionRows(database.url),
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
      mended.throttle(1);
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
      await world.database('b').promote('late', signal, 'rds');
      expect((await world.database('b').view(signal)).role).toBe('primary');
      await database.drop();
    });

    it('backup-verify restores the newest snapshot beside what is in use, and takes it away again', async () => {
      await primaryAndReplica();
      for (const name of ['first', 'second']) {
        await new RDSClient(options(east)).send(
          new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'db-east', DBSnapshotIdentifier: name }),
        );
      }
      const world = new SimulatedWorld();
      const restores = awsRestores(clients, { source: () => 'db-east', subnetGroup: () => undefined });
      const begun: string[] = [];
      const real = {
        newestBackup: async (kind: Parameters<SimulatedWorld['newestBackup']>[0], region: string, stop: AbortSignal) =>
          kind === 'postgresql-full' ? newestSnapshot(clients, region, 'db-east', stop) : world.newestBackup(kind),
        restores: {
          ...restores,
          read: world.restores.read,
          begin: async (...request: Parameters<typeof restores.begin>) => {
            begun.push(request[0].backup);
            await restores.begin(...request);
            // A resumed run asks twice.
            await restores.begin(...request);
          },
        },
        verify: world.verify.bind(world),
      };
      const book = backupVerify({ region: east, way: 'snapshot', at: undefined });
      expect(await run(optionsFor(book, { ...real, verify: async () => [] }, {}))).toEqual({ is: 'completed' });
      expect(begun).toEqual(['second']);
      const { DBInstances } = await new RDSClient(options(east)).send(new DescribeDBInstancesCommand({}));
      expect(DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual(['db-east']);
    });

    it('divides clients by weighted records and reads the shares back', async () => {
      const route53 = new Route53Client(options(east));
      const { HostedZone } = await route53.send(
        new CreateHostedZoneCommand({ Name: 'example.com', CallerReference: 'one' }),
      );
      const hostedZoneId = HostedZone?.Id ?? '';
      const shares = awsShares(clients, {
        hostedZoneId,
        name: 'gateway.example.com',
        setIdentifier: (region) => `share-${region}`,
        regions: [east, west],
        wait: async () => undefined,
      });
      expect(await shares.read(east, signal)).toBeUndefined();
      await expect(shares.set(east, 10, signal)).rejects.toThrow('has no weighted record share-us-east-1');
      await route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: hostedZoneId,
          ChangeBatch: {
            Changes: [east, west].map((region) => ({
              Action: 'CREATE',
              ResourceRecordSet: {
                Name: 'gateway.example.com',
                Type: 'CNAME',
                TTL: 60,
                SetIdentifier: `share-${region}`,
                Weight: region === west ? 100 : 0,
                ResourceRecords: [{ Value: `${region}.gateway.example.com` }],
              },
            })),
          },
        }),
      );
      await shares.set(east, 25, signal);
      expect([await shares.read(east, signal), await shares.read(west, signal)]).toEqual([25, 75]);
      const { ResourceRecordSets } = await route53.send(
        new ListResourceRecordSetsCommand({ HostedZoneId: hostedZoneId }),
      );
      const weighted = ResourceRecordSets?.filter(({ Weight }) => Weight !== undefined);
      expect(weighted?.map(({ SetIdentifier, TTL }) => [SetIdentifier, TTL])).toEqual([
        ['share-us-east-1', 60],
        ['share-us-west-2', 60],
      ]);
    });
  },
);

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
