/**
 * disaster-restore over the wire: stacks by CloudFormation's front, snapshots and objects by moto, EKS' one answer after its
 * published model (botocore, eks/2017-11-01). Vault and pods are the tests' cluster: no kubelet stands here.
 */
import { CreateDBInstanceCommand, CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import {
  backupBucketName,
  bootstrapBucketName,
  databaseIdentifier,
  deploymentRoleArn,
  eksClusterName,
  regionalStackKinds,
  stackName,
} from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { awsBackups } from '../../../runbooks/aws/backups.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsFoundation, workloadNames } from '../../../runbooks/aws/foundation.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { disasterRestore } from '../../../runbooks/books/disaster-restore.ts';
import { type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { spec } from '../../lib/specs.ts';
import { stackNamed, synthesize } from '../../lib/synthesize.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { FakeCluster } from '../../support/aws/cluster.ts';
import { type AwsFront, startAwsFront } from '../../support/aws/front.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { ownCalls, preparing } from '../../support/aws/wire.ts';
import { endsAlike } from '../books/crashes.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { optionsFor } from '../engine/world.ts';

const available = await motoIsInstalled();
const confirm = async (_: unknown, expected: string): Promise<string> => expected;
/** A third region, which `holdfast.config.ts` names as the only one from then on. */
const region = 'eu-west-1';
const description = spec({
  tier: 'standard',
  topology: 'single-region',
  regions: [{ region, role: 'primary', zones: ['a', 'b', 'c'], cidr: '10.2.0.0/16' }],
  cluster: { addons: ['vault'] },
});
const { stacks } = synthesize(definePlatform(description));

const manifests = [
  { file: '00-foundation.yaml', text: '{"kind":"Namespace","metadata":{"name":"holdfast"}}' },
  {
    file: '06-vault.yaml',
    text: '{"kind":"StatefulSet","metadata":{"name":"vault"},"spec":{"replicas":3,"template":{"spec":{"containers":[{"image":"vault"}]}}}}',
  },
  {
    file: '20-gateway.yaml',
    text: '{"kind":"Deployment","metadata":{"name":"gateway"},"spec":{"replicas":3,"template":{"spec":{"containers":[{"image":"gateway"}]}}}}',
  },
];

describe.skipIf(process.env['CI'] === undefined && !available)(
  'disaster-restore over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 90_000 },
  () => {
    let front: AwsFront | undefined;
    let clients: AwsClients | undefined;
    const close = async (): Promise<void> => {
      clients?.destroy();
      await front?.close();
    };
    afterEach(close);

    async function lostPlatform() {
      await close();
      const moto = await freshMoto();
      const platform = definePlatform({ ...description, account: moto.account });
      const cluster = new FakeCluster(platform.primary.availabilityZones);
      const eks = () => ({ json: { cluster: { name: eksClusterName(platform, region), status: 'ACTIVE' } } });
      const aws = await startAwsFront(moto, {}, { eks });
      const made = new AwsClients(aws.access);
      const before = new AwsClients(preparing(aws.access));
      front = aws;
      clients = made;
      // What AWS Backup has copied here of a database that is gone; the name is another region's.
      const lost = databaseIdentifier(platform, { ...platform.primary, region: 'us-east-1' });
      await before.rds(region).send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: lost,
          DBInstanceClass: 'db.r6g.large',
          Engine: 'postgres',
          AllocatedStorage: 100,
          MasterUsername: 'holdfast',
          MasterUserPassword: 'not-a-secret-1',
        }),
      );
      const copy = { DBInstanceIdentifier: lost, DBSnapshotIdentifier: 'copy-of-last-night' };
      await before.rds(region).send(new CreateDBSnapshotCommand(copy));
      const s3 = before.s3(region);
      const location = { CreateBucketConfiguration: { LocationConstraint: region } } as const;
      const backups = backupBucketName(platform, platform.primary);
      for (const Bucket of [backups, bootstrapBucketName(platform, platform.primary)]) {
        await s3.send(new CreateBucketCommand({ Bucket, ...location }));
      }
      await s3.send(new PutObjectCommand({ Bucket: backups, Key: 'vault/7.snap', Body: 'sealed bytes' }));
      before.destroy();
      const vault = inVault(cluster);
      const foundation = awsFoundation(made, {
        platform,
        kubectl: cluster.kubectl,
        templateOf: async (stack) => {
          const text = JSON.stringify(stackNamed(stacks, stack).template).replaceAll(description.account, moto.account);
          // The alarms of a large platform are more than a call takes.
          return stack.endsWith('monitoring')
            ? text.replace('{', `{"Metadata":{"padding":"${'x'.repeat(60_000)}"},`)
            : text;
        },
        templateBucketIn: () => bootstrapBucketName(platform, platform.primary),
        deploymentRoleIn: () => deploymentRoleArn(platform, platform.primary),
        manifestsOf: async () => manifests,
        wait: () => new Promise((resolve) => setTimeout(resolve, 5)),
      });
      const simulated = new SimulatedWorld();
      simulated.database('a').away = true;
      Object.assign(simulated.databases, { [region]: simulated.database('b') });
      const copies = awsBackups(made, {
        platform,
        regionOf: () => platform.primary,
        databaseUrl: () => 'postgresql://a:b@nowhere/c',
      });
      // The database's own steps are tested with moto elsewhere; here they go on in the simulation, in its region.
      const world = Object.assign(Object.create(simulated), {
        foundation,
        newestBackup: copies.newestBackup.bind(copies),
        verify: async () => [],
      });
      return { platform, cluster, vault, aws, simulated, world };
    }

    const book = disasterRestore({ region, former: 'a', way: 'snapshot', at: undefined });
    const creations = (aws: AwsFront): string[] =>
      aws.calls.filter(({ action }) => action === 'CreateStack').map(({ fields }) => fields.get('StackName') ?? '');

    it('makes every stack in order, pours the snapshot into Vault, and starts what the manifests name', async () => {
      const { platform, vault, aws, world, cluster } = await lostPlatform();
      const journal = new MemoryJournal();
      expect(await run(optionsFor(book, world, { confirm, journal }))).toEqual({ is: 'completed' });
      expect(creations(aws)).toEqual(regionalStackKinds.map((kind) => stackName(platform, region, kind)));
      const large = aws.calls.filter(({ action, fields }) => action === 'CreateStack' && fields.has('TemplateURL'));
      expect(large.map(({ fields }) => fields.get('StackName'))).toEqual([stackName(platform, region, 'monitoring')]);
      for (const { fields } of aws.calls.filter(({ action }) => action === 'CreateStack')) {
        expect(fields.get('RoleARN')).toBe(deploymentRoleArn(platform, platform.primary));
      }
      expect(vault.poured).toEqual(['sealed bytes']);
      expect([...cluster.workloads.keys()]).toEqual(['vault', 'gateway']);
      const found = (await journal.read()).find((event) => event.is === 'found-done' && event.step === 'backup');
      expect(found).toMatchObject({ facts: { backup: 'copy-of-last-night' } });
      const buckets = { claims: [], takeovers: [], journals: ['journals'] };
      expect(refusedCalls(policyOf('disaster-restore', platform, buckets), ownCalls(aws), platform.account)).toEqual(
        [],
      );
      // What was built stays when the run is taken back.
      expect(await undo(optionsFor(book, world, { confirm, journal }))).toMatchObject({ is: 'partial' });
    });

    it('killed at any write of its journal and resumed, it ends alike: each stack is asked for once', async () => {
      const own = ['foundation', 'vault', 'services'];
      const isAct = (event: JournalEvent): boolean =>
        (event.is === 'acting' || event.is === 'acted') && own.includes(event.step);
      const { crashes } = await endsAlike(
        book,
        async () => {
          const { world, aws, vault, cluster, simulated } = await lostPlatform();
          return {
            world,
            state: () => ({
              creations: creations(aws).map((name) => name.split('-').at(-1)),
              poured: vault.poured,
              acts: cluster.acts.filter((act) => act.startsWith('apply')),
              simulated: simulated.state,
            }),
          };
        },
        isAct,
      );
      expect(crashes).toBe(12);
    });
  },
);

it('waits for the Deployments and StatefulSets that a file names, and for nothing else', () => {
  const text =
    'kind: Service\nmetadata: {name: s}\n---\nkind: Deployment\nmetadata: {name: d}\n---\nkind: StatefulSet\nmetadata: {name: t}\n';
  expect(workloadNames(text)).toEqual(['d', 't']);
});

/** Vault's commands, as far as a cluster without pods can have them. */
function inVault(cluster: FakeCluster): { readonly poured: string[] } {
  const vault = { poured: [] as string[], uploaded: '', isSealed: true };
  cluster.scripts.set('exec', (input, args) => {
    const script = args.at(-1) ?? '';
    if (script.includes('vault status')) return JSON.stringify({ sealed: vault.isSealed });
    if (script.includes('cat > /tmp/vault.snap')) vault.uploaded = input;
    if (script.includes('snapshot restore -force')) {
      vault.poured.push(vault.uploaded);
      vault.isSealed = false;
    }
    return '';
  });
  return vault;
}
