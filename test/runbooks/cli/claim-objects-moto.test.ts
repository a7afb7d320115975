/** `holdfast region init` and `detach` against a server that speaks S3 and is not ours. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { detachRegion, initRegion } from '../../../bin/region/claim-objects.ts';
import { getObject, openS3, swapObject } from '../../../gateway/region/s3-bucket.ts';
import { type AwsFront, startAwsFront } from '../../support/aws/front.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { query } from '../../support/query.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { fakeHost } from './fake-host.ts';

const available = await motoIsInstalled();
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const regions = ['us-east-1', 'us-west-2', 'us-east-2'] as const;
const { signal } = new AbortController();

describe.skipIf(process.env['CI'] === undefined && !available)(
  'the claim in S3 over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 60_000 },
  () => {
    let front: AwsFront;
    let database: string;
    let buckets: readonly string[];

    beforeEach(async () => {
      process.env['AWS_ACCESS_KEY_ID'] ??= 'AKIAEXAMPLE';
      process.env['AWS_SECRET_ACCESS_KEY'] ??= 'not-a-secret';
      const moto = await freshMoto();
      front = await startAwsFront(moto);
      const fresh = await migratedDatabase();
      database = fresh.url;
      buckets = regions.map((region) => `claim-${region}-${moto.account}`);
      for (const [index, region] of regions.entries()) {
        const client = new S3Client({ region, endpoint: front.url, credentials, forcePathStyle: true });
        const elsewhere = region === 'us-east-1' ? {} : { CreateBucketConfiguration: { LocationConstraint: region } };
        await client.send(new CreateBucketCommand({ Bucket: buckets[index], ...elsewhere }));
        client.destroy();
      }
      onTestFinished(async () => {
        await front.close();
        await fresh.drop();
      });
    });

    const placed = (count: 1 | 3) => ({
      database,
      ttl: 15,
      key: 'claim.json',
      buckets: buckets
        .slice(0, count)
        .map((bucket, index) => `${bucket}@${regions[index]}`)
        .join(','),
      endpoint: front.url,
    });
    const open = (index: number) => {
      const client = openS3({ region: regions[index] ?? '', endpoint: front.url, credentials });
      onTestFinished(() => client.destroy());
      return { client, bucket: buckets[index] ?? '' };
    };
    const claimIn = async (index: number): Promise<unknown> => {
      const { client, bucket } = open(index);
      const found = await getObject(client, bucket, 'claim.json', signal);
      return found === undefined || found === 'unchanged' ? found : JSON.parse(found.body);
    };
    const host = (typed?: readonly string[]) => fakeHost({ world: new SimulatedWorld(), ...(typed && { typed }) });

    it.each([1, 3] as const)(
      'is made in each of %i buckets, and repeated it stays; a lost region is taken off',
      async (count) => {
        const one = host();
        expect([await initRegion(one, 'east', { ...placed(count), candidate: ['west'] }), one.output()]).toMatchObject([
          0,
          expect.stringContaining('The claim is made'),
        ]);
        const again = host();
        expect(await initRegion(again, 'east', placed(count))).toBe(0);
        expect(again.output()).toContain('The claim is there already: epoch 1, writer east, candidates west');
        for (let index = 0; index < count; index++)
          expect(await claimIn(index)).toMatchObject({ epoch: 1, writer: 'east', candidates: ['west'] });
        expect(await detachRegion(host(['west']), 'west', placed(count))).toBe(0);
        for (let index = 0; index < count; index++)
          expect(await claimIn(index)).toMatchObject({ candidates: [], sequence: 1 });
      },
    );

    it('refuses a bucket that does not exist, and changes nothing', async () => {
      const one = host();
      const options = { ...placed(1), buckets: 'claim-nobody-has-made@us-east-1' };
      expect(await initRegion(one, 'east', options)).toBe(3);
      expect(one.output()).toMatch(/^Nothing was changed: .*there is no bucket claim-nobody-has-made/);
      expect(await query(database, 'SELECT writer_region AS writer FROM region_epoch')).toEqual([{ writer: 'local' }]);
    });

    it('is replaced only as the object that was read', async () => {
      const { client, bucket } = open(0);
      const swap = (etag: string | undefined, body: string) => swapObject(client, bucket, 'probe', etag, body, signal);
      expect(await swap(undefined, 'one')).toBe(true);
      expect(await swap(undefined, 'another first one')).toBe(false);
      const found = await getObject(client, bucket, 'probe', signal);
      if (found === undefined || found === 'unchanged') throw new Error('it is there');
      expect(await swap('"an-older-etag"', 'two')).toBe(false);
      expect(await swap(found.etag, 'two')).toBe(true);
      expect(await swap(found.etag, 'three')).toBe(false);
    });
  },
);
