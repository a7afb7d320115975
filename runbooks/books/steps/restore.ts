/** Steps that make a database from a backup and look into it. Nothing that is in use is touched. */
import type { Step, StepContext } from '../../engine/step.ts';
import type { BackupWorld, RestorableKind, RestoreWay } from '../backup-world.ts';
import { lookStep } from './look.ts';

export interface RestorePlan {
  readonly region: string;
  readonly way: RestoreWay;
  /** ISO 8601: data as of then; undefined = as new as can be had. */
  readonly at: string | undefined;
}

/** Which backups a way restores from. */
const sources: Readonly<Record<RestoreWay, RestorableKind>> = {
  snapshot: 'postgresql-full',
  'point-in-time': 'postgresql-wal',
  dump: 'postgresql-dump',
};

/** Names the new database after the run, so that a run that is resumed finds its own and never another's. */
export const restoredName = (runId: string): string => `restored-${runId.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;

export const backupStep = ({ region, way }: RestorePlan): Step<BackupWorld> => {
  const check: Step<BackupWorld>['check'] = async (world, { signal }) => {
    const { ways } = world.restores;
    if (!ways.includes(way)) {
      const because = `here a database is restored by ${ways.join(' or ')}, not by ${way}`;
      return { is: 'blocked', because, fix: `by hand, into a database beside the old one: ${commandOf(way, region)}` };
    }
    const found = await world.newestBackup(sources[way], region, signal);
    if (found === undefined) {
      return { is: 'blocked', because: `there is no ${sources[way]} in ${region}`, fix: 'take another way, or region' };
    }
    const note = `${found.id}, ${Math.round(found.ageSeconds / 60)} minutes old`;
    return { is: 'done', note, facts: { backup: found.id, takenAt: found.takenAt } };
  };
  return lookStep({
    id: 'backup',
    title: `Find the backup to restore from (${way})`,
    words: { check: `which is the newest ${sources[way]} in ${region}?` },
    patienceSeconds: 60,
    precondition: check,
    check,
  });
};

export const restoreStep = ({ region, way, at }: RestorePlan): Step<BackupWorld> => ({
  id: 'restore',
  title: `Make a new database in ${region}`,
  words: {
    check: "is there a database with this run's name?",
    act: `restore (${way}) under a new name; the old database is not touched`,
    commands: [commandOf(way, region)],
    canGoWrong: ['it takes as long as the database is large; what it is restored from must not be deleted meanwhile'],
  },
  patienceSeconds: 4 * 3_600,
  check: async (world, { signal, runId }) => {
    const name = restoredName(runId);
    const state = await world.restores.view(region, name, signal);
    if (state === 'absent') return { is: 'ready' };
    if (state === 'creating') return { is: 'underway', note: `${name} is being made` };
    return { is: 'done', note: name, facts: { restored: name } };
  },
  act: (world, { signal, runId, token, facts }) => {
    const backup = String(facts('backup')['backup']);
    return world.restores.begin({ region, way, backup, at, as: restoredName(runId) }, token, signal);
  },
  undo: (world, { signal, runId }) => world.restores.remove(region, restoredName(runId), signal),
});

function commandOf(way: RestoreWay, region: string): string {
  switch (way) {
    case 'snapshot':
      return `aws rds restore-db-instance-from-db-snapshot --region ${region} --db-instance-identifier NEW --db-snapshot-identifier SNAPSHOT`;
    case 'point-in-time':
      return `aws rds restore-db-instance-to-point-in-time --region ${region} --source-db-instance-automated-backups-arn ARN --target-db-instance-identifier NEW --use-latest-restorable-time`;
    case 'dump':
      return 'pg_restore --no-owner --jobs 4 --exit-on-error --dbname "$NEW_DATABASE_URL" holdfast.dump';
  }
}

/** A backup that nobody has read is a hope. */
export const readStep = (region: string): Step<BackupWorld> =>
  lookStep({
    id: 'read',
    title: 'Read what was restored',
    words: {
      check: 'does it have the schema, keys and spend that a gateway needs?',
      canGoWrong: ['it has no keys: it is the backup of another database, or of an empty one'],
    },
    patienceSeconds: 300,
    check: async (world, { signal, runId }) => {
      const found = await world.restores.read(region, restoredName(runId), signal);
      if (found.keys === 0) return { is: 'blocked', because: 'it holds no keys', fix: 'restore another backup' };
      return {
        is: 'done',
        note: `schema ${found.schemaVersion}, ${found.keys} keys, spend until ${found.newestSpendAt ?? 'never'}`,
        facts: {
          schemaVersion: found.schemaVersion,
          keys: found.keys,
          spendRows: found.spendRows,
          newestSpendAt: found.newestSpendAt ?? null,
        },
      };
    },
  });

export const restoredFacts = ({ facts }: Pick<StepContext, 'facts'>): string => String(facts('restore')['restored']);
