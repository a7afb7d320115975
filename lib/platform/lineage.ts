/** Which database follows which. */
import type { Platform, Region } from './platform.ts';

/** Whether another region's present database is a replica of this region's present one. */
export const feedsReplicas = (platform: Platform, { region, databaseGeneration }: Region): boolean =>
  platform.regions.some(
    ({ databaseSource }) =>
      databaseSource?.region === region && databaseSource.databaseGeneration === databaseGeneration,
  );
