/**
 * A platform that stands: data stacks by CloudFormation's front over moto, the buckets that runbooks use, the first claim.
 * The world over it is the one that operators open, with AWS's own clients.
 */
import { CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { bucketsOf } from '../../../bin/region/buckets.ts';
import { openS3, S3ClaimBucket } from '../../../gateway/region/s3-bucket.ts';
import { bucketName, objectKeys, stackName } from '../../../lib/platform/names.ts';
import { definePlatform, type Platform, type Region } from '../../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../../lib/platform/spec.ts';
import { type AwsWorld, type AwsWorldOptions, awsWorld } from '../../../runbooks/aws/aws-world.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import type { PolicyBuckets } from '../../../runbooks/aws/rights.ts';
import { S3Journals } from '../../../runbooks/aws/s3-journal.ts';
import type { Journal } from '../../../runbooks/engine/journal.ts';
import { stackNamed, synthesize } from '../../lib/synthesize.ts';
import { until } from '../processes.ts';
import { type AwsFront, type AwsFrontOptions, startAwsFront } from './front.ts';
import { freshMoto } from './moto.ts';
import { preparing } from './wire.ts';

export interface Standing {
  readonly platform: Platform;
  readonly front: AwsFront;
  readonly buckets: PolicyBuckets;
  /** For what the test prepares and looks at: their calls are not what is tested. */
  readonly clients: AwsClients;
  world(more: Pick<AwsWorldOptions, 'databaseUrl'> & Partial<AwsWorldOptions>): AwsWorld;
  /** In the bucket of a region, as an operator's run keeps it. */
  journal(region: string, runId: string): Journal;
  close(): Promise<void>;
}

/** @param inRegions where data stacks stand; the other regions are only described. */
export async function standingPlatform(
  description: PlatformSpec,
  inRegions: readonly string[],
  options: AwsFrontOptions = {},
): Promise<Standing> {
  const moto = await freshMoto();
  const platform = definePlatform({ ...description, account: moto.account });
  const front = await startAwsFront(moto, options);
  const clients = new AwsClients(preparing(front.access));
  const { stacks } = synthesize(definePlatform(description));
  for (const region of inRegions) {
    const name = stackName(platform, region, 'data');
    // One synthesis serves every test of this description, whatever its account.
    const text = JSON.stringify(stackNamed(stacks, name).template).replaceAll(description.account, moto.account);
    const cloudFormation = clients.cloudFormation(region);
    await cloudFormation.send(new CreateStackCommand({ StackName: name, TemplateBody: text }));
    await until(async () => {
      const { Stacks: [stack] = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
      return stack?.StackStatus === 'CREATE_COMPLETE';
    }, 30_000);
  }
  const { claims, takeovers } = bucketsOf(platform);
  const inRegion = (kind: 'journal' | 'backup') => (region: Region) => ({
    region: region.region,
    bucket: bucketName(platform, region, kind),
  });
  const journals = platform.regions.map(inRegion('journal'));
  for (const { region, bucket } of [...claims, ...takeovers, ...journals, ...platform.regions.map(inRegion('backup'))])
    await makeBucket(clients, region, bucket);
  await putFirstClaim(clients, platform, claims);
  const opened: { destroy(): void }[] = [];
  return {
    platform,
    front,
    clients,
    buckets: { claims, takeovers, journals: journals.map(({ bucket }) => bucket) },
    world: (more) => {
      const world = awsWorld({ platform, access: front.access, claims, takeovers, key: 'sk-none', ...more });
      opened.push({ destroy: () => void world.close() });
      return world;
    },
    journal: (region, runId) => {
      const bucket = journals.find((one) => one.region === region)?.bucket ?? '';
      const client = openS3({ region, ...front.access });
      opened.push(client);
      return new S3Journals({ client, bucket, prefix: 'runs/' }).of(runId);
    },
    close: async () => {
      for (const one of opened) one.destroy();
      clients.destroy();
      await front.close();
    },
  };
}

export async function makeBucket(clients: AwsClients, region: string, Bucket: string): Promise<void> {
  const elsewhere = locations.find((one) => one === region);
  await clients.s3(region).send(
    new CreateBucketCommand({
      Bucket,
      ...(elsewhere === undefined ? {} : { CreateBucketConfiguration: { LocationConstraint: elsewhere } }),
    }),
  );
}

/** Of the tests' descriptions; the first region is none to S3. */
const locations = ['us-west-2', 'eu-west-1', 'us-east-2'] as const;

async function putFirstClaim(
  clients: AwsClients,
  { primary, standbys }: Platform,
  claims: PolicyBuckets['claims'],
): Promise<void> {
  const candidates = standbys.map(({ region }) => region);
  const first = { epoch: 1, writer: primary.region, phase: 'held', run: null, sequence: 0, ttlSeconds: 15 } as const;
  const { signal } = new AbortController();
  for (const { region, bucket } of claims) {
    const store = new S3ClaimBucket(clients.s3(region), bucket, objectKeys.claim);
    await store.swap(undefined, { ...first, candidates }, signal);
  }
}
