/** Names in capitals that printed commands have until somebody's platform is known. Pure. */
import {
  bucketName,
  cacheName,
  databaseIdentifier,
  eksClusterName,
  prefix,
  regionalDomain,
  stackName,
} from '../../lib/platform/names.ts';
import { claimPlaces } from '../../lib/platform/places.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { Block, Document } from '../engine/document.ts';

const inRegion = (platform: Platform, region: Region): Readonly<Record<string, string>> => ({
  'DATA-STACK': stackName(platform, region.region, 'data'),
  DATABASE: databaseIdentifier(platform, region),
  CACHE: cacheName(platform),
  CLUSTER: eksClusterName(platform, region.region),
  'TAKEOVER-BUCKET': bucketName(platform, region, 'takeover'),
});

const everywhere = (platform: Platform): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(
    platform.regions.map(({ region }) => [`${region}.YOUR-DOMAIN`, regionalDomain(platform, region)]),
  ),
  'CLAIM-BUCKETS': claimPlaces(platform)
    .map((place) => bucketName(platform, place, 'claim'))
    .join(', '),
  ACCOUNT: platform.account,
  PLATFORM: prefix(platform),
});

/** Names that belong to a region are those of the region that the same line names first; where none is, they stay. */
export function withNames(document: Document, platform: Platform): Document {
  const filled = (line: string): string => {
    const region = platform.regions
      .map((one) => ({ one, at: line.indexOf(one.region) }))
      .filter(({ at }) => at !== -1)
      .toSorted((a, b) => a.at - b.at)[0]?.one;
    const names = { ...everywhere(platform), ...(region && inRegion(platform, region)) };
    return Object.entries(names).reduce(
      (text, [name, value]) => text.replaceAll(new RegExp(`(?<!\\w|[A-Z]-)${name}(?!\\w|-[A-Z])`, 'g'), () => value),
      line,
    );
  };
  return document.map((block): Block => (block.is === 'code' ? { ...block, lines: block.lines.map(filled) } : block));
}
