/** The claim in its buckets, by clients that end with whoever opened them. */
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import { objectKeys } from '../../lib/platform/names.ts';
import type { AwsAccess } from './clients.ts';

export interface BucketIn {
  readonly bucket: string;
  readonly region: string;
}

/** @param buckets one or three, in different regions. */
export function openClaims(
  buckets: readonly BucketIn[],
  access: AwsAccess,
): { readonly store: ClaimStore; destroy(): void } {
  const opened = buckets.map(({ bucket, region }) => ({ bucket, client: openS3({ region, ...access }) }));
  return {
    store: new ClaimStore(opened.map(({ bucket, client }) => new S3ClaimBucket(client, bucket, objectKeys.claim))),
    destroy: () => {
      for (const { client } of opened) client.destroy();
    },
  };
}
