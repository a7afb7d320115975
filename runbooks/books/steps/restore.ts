/** Steps that make a database from a backup and look into it. Nothing that is in use is touched. */

import { backups } from '../../../lib/platform/backups.ts';
import type { Step, StepContext, Verdict } from '../../engine/step.ts';
import type { Backup, BackupWorld, RestorableKind, RestoreWay } from '../backup-world.ts';
import { lookStep } from './look.ts';

export interface RestorePlan {
  readonly region: string;
  readonly way: RestoreWay;
  /** ISO 8601: data as of then; undefined = as new as can be had. */
  readonly at: string | undefined;
  /** `id` of the dump to take, however old it is; undefined = the newest, if it is young enough. */
  readonly dump?: string | undefined;
}

/** Which backups a way restores from. */
const sources: Readonly<Record<RestoreWay, RestorableKind>> = {
  snapshot: 'postgresql-full',
  'point-in-time': 'postgresql-wal',
  dump: 'postgresql-dump',
};

/** Names the new database after the run, so that a run that is resumed finds its own and never another's. */
export const restoredName = (runId: string): string => `restored-${runId.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;

export const backupStep = ({ region, way, dump }: RestorePlan): Step<BackupWorld> => {
  const kind = sources[way];
  const check: Step<BackupWorld>['check'] = async (world, { signal }) => {
    const { ways } = world.restores;
    if (!ways.includes(way)) {
      const because = `here a database is restored by ${ways.join(' or ')}, not by ${way}`;
      return {
        is: 'blocked',
        because,
        fix: `by hand, into a database beside the old one: ${commandsOf(way, region).at(-1)}`,
      };
    }
    const obstacle = await world.restores.obstacle?.(way, region, signal);
    if (obstacle !== undefined) return { is: 'blocked', ...obstacle };
    const found =
      dump === undefined ? await world.newestBackup(kind, region, signal) : await named(world, dump, region, signal);
    if (found === undefined) {
      const because = dump === undefined ? `there is no ${kind} in ${region}` : `dump: there is no ${dump}`;
      return { is: 'blocked', because, fix: 'take another way, or region' };
    }
    const old = dump === undefined ? tooOld(kind, found) : undefined;
    if (old !== undefined) return old;
    const note = `${found.id}, ${Math.round(found.ageSeconds / 60)} minutes old`;
    return { is: 'done', note, facts: { backup: found.id, takenAt: found.takenAt } };
  };
  return lookStep({
    id: 'backup',
    title: `Find the backup to restore from (${way})`,
    words: { check: dump === undefined ? `which is the newest ${kind} in ${region}?` : `is there ${dump}?` },
    patienceSeconds: 60,
    precondition: check,
    check,
  });
};

/** A world that cannot look for one has the newest alone. */
async function named(world: BackupWorld, id: string, region: string, signal: AbortSignal): Promise<Backup | undefined> {
  if (world.dumpNamed !== undefined) return world.dumpNamed(id, signal);
  const newest = await world.newestBackup('postgresql-dump', region, signal);
  return newest?.id === id ? newest : undefined;
}

/** Who restores a dump without naming it expects last night's. */
function tooOld(kind: RestorableKind, { id, ageSeconds }: Backup): Extract<Verdict, { is: 'blocked' }> | undefined {
  const { overdueSeconds } = backups['postgresql-full'];
  if (kind !== 'postgresql-dump' || ageSeconds <= overdueSeconds) return undefined;
  const [age, most] = [ageSeconds, overdueSeconds].map((seconds) => Math.round(seconds / 3_600));
  return {
    is: 'blocked',
    because: `the newest dump, ${id}, is ${age} hours old, and one is made each day (at most ${most} hours are good)`,
    fix: `way=snapshot or way=point-in-time lose less, as a rule; if it shall be this one: dump=${id}`,
  };
}

const hour = 3_600;

export const restoreStep = ({ region, way, at }: RestorePlan): Step<BackupWorld> => ({
  id: 'restore',
  title: `Make a new database in ${region}`,
  words: {
    check: `is there a database with this run's name${way === 'dump' ? ', and the dump in it' : ''}?`,
    act: `restore (${way}) under a new name; the old database is not touched`,
    commands: commandsOf(way, region),
    canGoWrong: canGoWrong[way],
  },
  // Rows go through one connection, and indexes are built one after the other.
  patienceSeconds: (way === 'dump' ? 12 : 4) * hour,
  check: async (world, { signal, runId }) => {
    const name = restoredName(runId);
    const state = await world.restores.view(region, name, signal);
    if (state === 'absent') return { is: 'ready' };
    if (state === 'empty') return { is: 'ready', note: `${name} stands, and nothing is in it` };
    if (state === 'creating') return { is: 'underway', note: `${name} is being made` };
    return { is: 'done', note: name, facts: { restored: name } };
  },
  act: (world, { signal, runId, token, facts, progress }) => {
    const backup = String(facts('backup')['backup']);
    return world.restores.begin({ region, way, backup, at, as: restoredName(runId) }, token, signal, progress);
  },
  undo: (world, { signal, runId }) => world.restores.remove(region, restoredName(runId), signal),
});

const takesLong = 'it takes as long as the database is large; what it is restored from must not be deleted meanwhile';
const canGoWrong: Readonly<Record<RestoreWay, readonly string[]>> = {
  snapshot: [takesLong],
  'point-in-time': [takesLong],
  dump: [
    takesLong,
    'the dump passes through this machine: run it near the database, and where nobody closes a lid',
    'it fails half way: nothing of it is in the database, and resuming loads it from the beginning',
    'roles that were made by hand, and what was granted to them, are in no dump: make them again',
  ],
};

function commandsOf(way: RestoreWay, region: string): readonly string[] {
  switch (way) {
    case 'snapshot':
      return [
        `aws rds restore-db-instance-from-db-snapshot --region ${region} --db-instance-identifier NEW --db-snapshot-identifier SNAPSHOT`,
      ];
    case 'point-in-time':
      return [
        `aws rds restore-db-instance-to-point-in-time --region ${region} --source-db-instance-automated-backups-arn ARN --target-db-instance-identifier NEW --use-latest-restorable-time`,
      ];
    case 'dump':
      return [
        `aws rds create-db-instance --region ${region} --db-instance-identifier NEW --engine postgres --db-name holdfast --master-username holdfast ...   # the rest as the old one has it`,
        '# Where gateways have logins of their own, which no dump holds: while it is empty',
        `psql "$NEW_DATABASE_URL" <<'SQL'
CREATE ROLE holdfast_owner;
GRANT holdfast_owner TO SESSION_USER WITH INHERIT TRUE, SET TRUE;
REASSIGN OWNED BY SESSION_USER TO holdfast_owner;
ALTER ROLE SESSION_USER SET role = 'holdfast_owner';
CREATE ROLE "USER OF THE GATEWAYS" LOGIN PASSWORD 'THEIRS' IN ROLE holdfast_owner;
ALTER ROLE "USER OF THE GATEWAYS" SET role = 'holdfast_owner';
SQL`,
        `aws s3 cp --region ${region} s3://BACKUP-BUCKET/postgresql/holdfast-day-NN.dump - | pg_restore --no-owner --no-privileges --single-transaction --exit-on-error --dbname "$NEW_DATABASE_URL"`,
      ];
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
