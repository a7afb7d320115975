import type { k8s } from 'cdk8s-plus-28';
import { bucketName, internalDomain, objectKeys } from '../../lib/platform/names.ts';
import { archivePlace, claimPlaces } from '../../lib/platform/places.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';

/**
 * What a gateway knows of the regions: its own, the private names of the others, and where the claim to write lies.
 * Outside of AWS these come from the gateway's Secret, since nobody here knows the others' addresses or buckets.
 */
export function regionVariables(platform: Platform, region: Region): k8s.EnvVar[] {
  if (platform.cluster.kind !== 'eks') return [];
  const archive = archivePlace(platform, region);
  const own = [
    { name: 'AWS_REGION', value: region.region },
    ...(archive === undefined
      ? []
      : [{ name: 'HOLDFAST_OUTBOX_ARCHIVE', value: `${archive.bucket}@${archive.region}` }]),
  ];
  if (platform.claimRegions.length === 0) return own;
  const others = platform.regions.filter((other) => other.region !== region.region);
  const claims = claimPlaces(platform).map((place) => `${bucketName(platform, place, 'claim')}@${place.region}`);
  return [
    ...own,
    { name: 'HOLDFAST_REGION', value: region.region },
    {
      name: 'HOLDFAST_REGION_ADDRESSES',
      value: others.map((other) => `${other.region}=https://${internalDomain(platform, other.region)}`).join(','),
    },
    { name: 'HOLDFAST_CLAIM_BUCKETS', value: claims.join(',') },
    { name: 'HOLDFAST_CLAIM_KEY', value: objectKeys.claim },
    ...(platform.refuseBeyondRpo
      ? [{ name: 'HOLDFAST_REFUSE_BEYOND_RPO_SECONDS', value: String(platform.tier.rpoSeconds) }]
      : []),
  ];
}
