/** The buckets that regions agree by. */
import { type BucketPlace, bucketName } from '../../lib/platform/names.ts';
import { claimPlaces } from '../../lib/platform/places.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { BucketIn } from '../../runbooks/aws/claims.ts';

/** As the stacks make them. */
export function bucketsOf(platform: Platform): {
  readonly claims: readonly BucketIn[];
  readonly takeovers: readonly BucketIn[];
} {
  const bucketIn = (place: BucketPlace, kind: 'claim' | 'takeover'): BucketIn => ({
    region: place.region,
    bucket: bucketName(platform, place, kind),
  });
  return {
    claims: claimPlaces(platform).map((place) => bucketIn(place, 'claim')),
    takeovers: platform.regions.map((place) => bucketIn(place, 'takeover')),
  };
}
