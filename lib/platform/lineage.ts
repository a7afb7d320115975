/** Which database follows which. */
import type { Platform, Region } from './platform.ts';

/** Whether another region's present database is a replica of this region's present one. */
export const feedsReplicas = (platform: Platform, { region, databaseGeneration }: Region): boolean =>
  platform.regions.some(
    ({ databaseSource }) =>
      databaseSource?.region === region && databaseSource.databaseGeneration === databaseGeneration,
  );

/**
 * Whether a region's database is, by the configuration, the one that takes writes: it was created empty, or others follow
 * it. It is Multi-AZ, and its backups go to another region.
 */
export const takesWrites = (platform: Platform, region: Region): boolean =>
  region.databaseSource === undefined || feedsReplicas(platform, region);
