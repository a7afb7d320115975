/** The takeover object of a region: an inverted health check of the other region reads it. Data plane of S3 alone. */
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { getObject } from '../../gateway/region/s3-bucket.ts';
import { objectKeys } from '../../lib/platform/names.ts';
import type { RegionTraffic } from '../books/region-world.ts';
import type { AwsClients } from './clients.ts';

const takeoverSchema = z.object({ run: z.string(), epoch: z.number() });

/** @param bucketOf the takeover bucket of a region; public to read, for that one key. */
export function awsRegionTraffic(clients: AwsClients, bucketOf: (region: string) => string): RegionTraffic {
  return {
    takeover: async (region, signal) => {
      const found = await getObject(clients.s3(region), bucketOf(region), objectKeys.takeover, signal);
      if (found === undefined || found === 'unchanged') return undefined;
      // Health checks see that it is there, whatever it says.
      return runIn(found.body) ?? 'unknown';
    },
    takeOver: async (region, run, epoch, abortSignal) => {
      await clients.s3(region).send(
        new PutObjectCommand({
          Bucket: bucketOf(region),
          Key: objectKeys.takeover,
          Body: JSON.stringify({ run, epoch }),
          ContentType: 'application/json',
          // A cached copy must not keep traffic away after the object is gone.
          CacheControl: 'no-store',
        }),
        { abortSignal },
      );
    },
    giveBack: async (region, abortSignal) => {
      await clients
        .s3(region)
        .send(new DeleteObjectCommand({ Bucket: bucketOf(region), Key: objectKeys.takeover }), { abortSignal });
    },
  };
}

/** Undefined = whoever put it by hand has not said it. */
function runIn(text: string): string | undefined {
  try {
    return takeoverSchema.parse(JSON.parse(text)).run;
  } catch {
    return undefined;
  }
}
