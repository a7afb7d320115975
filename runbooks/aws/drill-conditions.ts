/** What speaks against a drill of a platform in AWS: alarms, other runs, the lag, the hours, the last verified backup. */
import { isWithin, usualDrillHours } from '../../lib/platform/drill-hours.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { DrillConditions, Drilling } from '../books/drill.ts';
import type { RegionDatabase } from '../books/region-world.ts';
import { ringingAlarms } from './alarms.ts';
import type { AwsClients } from './clients.ts';

/** The machine that the operator sits at. */
export interface DrillHost {
  /** Runs in AWS that have touched something and are not at their end; `Drilling`'s own is not among them. */
  readonly unfinishedRuns: (runId: string) => Promise<readonly string[]>;
  /** When a backup was last restored and read (ISO 8601); undefined = never, or the last attempt failed. */
  readonly backupVerifiedAt: () => Promise<string | undefined>;
  /** Where ledgers of drills are kept. */
  readonly ledgerFolder: string;
}

export interface DrillConditionsOptions {
  readonly platform: Platform;
  /** Undefined = nothing is known of runs and backups, so no drill may begin. */
  readonly host: DrillHost | undefined;
  readonly databaseIn: (region: string) => RegionDatabase;
}

const dayMs = 86_400_000;

export function drillConditions(
  clients: AwsClients,
  { platform, host, databaseIn }: DrillConditionsOptions,
): (drilling: Drilling, signal: AbortSignal) => Promise<DrillConditions> {
  return async ({ runId, plan }, signal) => {
    if (host === undefined) throw new Error('a drill has to know of other runs, and nothing here does');
    const [alerts, unfinishedRuns, database, verifiedAt] = await Promise.all([
      ringingAlarms(clients, platform, signal),
      host.unfinishedRuns(runId),
      databaseIn(plan.survivor).view(signal),
      host.backupVerifiedAt(),
    ]);
    const now = new Date();
    return {
      describedAs: platform.environment,
      alerts,
      unfinishedRuns,
      lagSeconds: database.lagSeconds,
      isInWindow: isWithin(platform.operations.drillHours ?? usualDrillHours, now),
      backupVerifiedDaysAgo:
        verifiedAt === undefined ? undefined : Math.floor((now.getTime() - Date.parse(verifiedAt)) / dayMs),
    };
  };
}
