/** Rules for the regions that only keep something: a claim, backups, a bucket. */
import { bucketName } from './names.ts';
import { partnerRegions } from './partner-regions.ts';
import type { PlatformSpec } from './platform.ts';
import { isRegion } from './regions.ts';

/** Longest name of a bucket. */
const bucketNameLimit = 63;

export function satelliteFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const { witnessRegion, backupRegion, account } = spec;
  const names = spec.regions.map(({ region }) => region);
  for (const [field, region] of [
    ['witnessRegion', witnessRegion],
    ['backupRegion', backupRegion],
  ] as const) {
    if (region === undefined) continue;
    if (!isRegion(region)) faults.push(`${field}: "${region}" is not an AWS region, for example us-east-2`);
    if (names.includes(region)) {
      faults.push(`${field}: "${region}" is one of regions; it would be lost together with what it is to outlive`);
    }
  }
  const single = spec.topology === 'single-region';
  if (single && witnessRegion !== undefined) {
    faults.push('witnessRegion: a single region has nobody to share the right to write with; leave it out');
  }
  if (!single && backupRegion !== undefined) {
    faults.push('backupRegion: several regions hold each other’s backups; leave it out');
  }
  if (
    single &&
    backupRegion === undefined &&
    spec.regions.some(({ region }) => isRegion(region) && !partnerRegions[region])
  ) {
    faults.push(
      `backupRegion: ${names.join(', ')} has no partner region under the same law; name the region that backups are copied to`,
    );
  }
  if (spec.tier === 'critical' && !single && names.length < 3 && witnessRegion === undefined) {
    faults.push(
      'witnessRegion: tier "critical" needs the claim in three places, so that the loss of any one stops no write; name a third region, a bucket there is enough',
    );
  }
  const places = [...names, witnessRegion, backupRegion].filter((region) => region !== undefined);
  if (spec.regionSwitchPlan === true && names.length !== 2) {
    faults.push(`regionSwitchPlan: ARC Region switch knows two regions, regions lists ${names.length}; leave it out`);
  }
  const longest = places
    .map((region) => bucketName(spec, { region, account }, 'takeover'))
    .reduce((left, right) => (right.length > left.length ? right : left), '');
  if (longest.length > bucketNameLimit) {
    faults.push(
      `name: "${spec.name}" is too long: the bucket ${longest} would have ${longest.length} characters, S3 allows ${bucketNameLimit}; shorten the name by ${longest.length - bucketNameLimit}`,
    );
  }
  return faults;
}
