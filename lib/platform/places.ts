/** Where copies of a region's data go. */
import { type BucketPlace, bucketName } from './names.ts';
import type { Platform, Region } from './platform.ts';

/** Where the claim lies; a witness may be in an account of its own. */
export const claimPlaces = (platform: Platform): readonly BucketPlace[] =>
  platform.claimRegions.flatMap((name) =>
    [...platform.regions, ...platform.satellites].filter(({ region }) => region === name),
  );

/** Every other region of the platform, or a single region's place for copies. */
export const copyPlaces = (platform: Platform, { region }: Pick<Region, 'region'>): readonly BucketPlace[] => [
  ...platform.regions.filter((other) => other.region !== region),
  ...platform.satellites.filter(({ copies }) => copies),
];

/** The one place that a region's database backups are copied to: one copy elsewhere is what is promised. */
export const backupPlace = (platform: Platform, region: Pick<Region, 'region'>): BucketPlace | undefined =>
  copyPlaces(platform, region)[0];

/** The bucket that a region's gateways archive their spend in; undefined = nowhere else than on their disks. */
export function archivePlace(
  platform: Platform,
  region: Pick<Region, 'region'>,
): { readonly bucket: string; readonly region: string } | undefined {
  const place = copyPlaces(platform, region)[0];
  return place && { bucket: bucketName(platform, place, 'outbox'), region: place.region };
}
