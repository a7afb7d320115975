/** What a drill has to know of this machine: other runs, the last verified backup, and where its ledger is kept. */
import { evidenceFolder, newestOf } from '../../lib/platform/evidence.ts';
import type { DrillHost } from '../../runbooks/aws/drill-conditions.ts';
import { readEvidence } from '../evidence.ts';
import { allRuns, type KnownRun } from './all-runs.ts';
import type { Host } from './host.ts';

/** One file for each drill with clients of its own. */
const ledgerFolder = '.holdfast/drills';

export const drillsFrom = (host: Host): DrillHost => ({
  ledgerFolder,
  unfinishedRuns: async (runId) =>
    (await allRuns(host, undefined)).filter((one) => one.run !== runId && isUnfinished(one)).map(({ run }) => run),
  backupVerifiedAt: async () => {
    const newest = newestOf(readEvidence(evidenceFolder), 'restore');
    return newest?.passed === true ? newest.on : undefined;
  },
});

/** Pure. A run that was refused has touched nothing; one of the lab has no part in AWS. */
export function isUnfinished({ events }: Pick<KnownRun, 'events'>): boolean {
  const [first] = events;
  if (first?.is !== 'run-started' || first.world === 'lab') return false;
  const isAtItsEnd = events.some((event) => event.is === 'run-completed' || event.is === 'run-undone');
  return !isAtItsEnd && events.some((event) => event.is === 'acting');
}
