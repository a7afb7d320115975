/** Databases from RDS snapshots and automated backups, beside what is in use. */
import {
  DeleteDBInstanceCommand,
  DescribeDBSnapshotsCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
} from '@aws-sdk/client-rds';
import type { Backup, RestoreRequest } from '../books/backup-world.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { restoredInstance } from './database-in-use.ts';
import { restoredTag } from './restored-tag.ts';

export interface RestorePlace {
  /** Of the region's database, as the stack names it. */
  readonly identifierIn: (region: string) => string;
  /** Where the new database stands: what the region's own one stands in. */
  readonly surroundings: (region: string, signal: AbortSignal) => Promise<Surroundings>;
}

export interface Surroundings {
  readonly DBSubnetGroupName?: string;
  readonly VpcSecurityGroupIds?: string[];
  readonly DBParameterGroupName?: string;
}

export function awsRestores(clients: AwsClients, place: RestorePlace) {
  return {
    ways: ['snapshot', 'point-in-time'] as const,
    view: async (region: string, name: string, signal: AbortSignal): Promise<'absent' | 'creating' | 'ready'> => {
      const instance = await restoredInstance(clients, region, name, place.identifierIn(region), signal);
      if (instance === undefined) return 'absent';
      return instance.DBInstanceStatus === 'available' ? 'ready' : 'creating';
    },
    begin: async (request: RestoreRequest, _token: string, abortSignal: AbortSignal): Promise<void> => {
      const { region, way, backup, at, as } = request;
      const Tags = [{ Key: restoredTag, Value: as }];
      const target = { ...(await place.surroundings(region, abortSignal)), MultiAZ: false, Tags };
      try {
        if (way === 'snapshot') {
          await clients.rds(region).send(
            new RestoreDBInstanceFromDBSnapshotCommand({
              DBInstanceIdentifier: as,
              DBSnapshotIdentifier: backup,
              ...target,
            }),
            { abortSignal },
          );
          return;
        }
        if (way === 'dump') throw new Error('a dump is restored by pg_restore into a database that is there already');
        await clients.rds(region).send(
          new RestoreDBInstanceToPointInTimeCommand({
            ...sourceOf(backup),
            TargetDBInstanceIdentifier: as,
            ...(at === undefined ? { UseLatestRestorableTime: true } : { RestoreTime: new Date(at) }),
            ...target,
          }),
          { abortSignal },
        );
      } catch (error) {
        // A resumed run asks again under the same name: what was begun is found by looking.
        if (!isNamed(error, 'DBInstanceAlreadyExistsFault', 'DBInstanceAlreadyExists')) throw error;
      }
    },
    remove: async (region: string, name: string, abortSignal: AbortSignal): Promise<void> => {
      try {
        await clients
          .rds(region)
          .send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: name, SkipFinalSnapshot: true }), { abortSignal });
      } catch (error) {
        if (!isNamed(error, 'DBInstanceNotFoundFault', 'DBInstanceNotFound', 'InvalidDBInstanceStateFault'))
          throw error;
      }
    },
  };
}

/** A database that is gone is named by its automated backup, and so is one of another region. */
const sourceOf = (backup: string) =>
  backup.startsWith('arn:') ? { SourceDBInstanceAutomatedBackupsArn: backup } : { SourceDBInstanceIdentifier: backup };

/** RDS names its own and those that somebody took when it is asked for none of these, AWS Backup's only by name. */
const snapshotTypes = [undefined, 'awsbackup'] as const;

/**
 * The newest snapshot that can be used: of the region's database or, where there is none, a copy of another region's.
 * @param isOurs whether a database of this name is one of this platform
 */
export async function newestSnapshot(
  clients: AwsClients,
  region: string,
  own: string,
  isOurs: (identifier: string) => boolean,
  signal: AbortSignal,
): Promise<Backup | undefined> {
  const found = (await Promise.all(snapshotTypes.map((type) => usableSnapshots(clients, region, type, signal)))).flat();
  const ofOwn = found.filter(({ source }) => source === own);
  const candidates = ofOwn.length > 0 ? ofOwn : found.filter(({ source }) => isOurs(source));
  const [newest] = candidates.toSorted((one, other) => other.takenAt.getTime() - one.takenAt.getTime());
  if (newest === undefined) return undefined;
  const ageSeconds = Math.max(0, Date.now() - newest.takenAt.getTime()) / 1000;
  return { id: newest.id, takenAt: newest.takenAt.toISOString(), ageSeconds };
}

async function usableSnapshots(
  clients: AwsClients,
  region: string,
  type: (typeof snapshotTypes)[number],
  abortSignal: AbortSignal,
): Promise<{ readonly id: string; readonly source: string; readonly takenAt: Date }[]> {
  const found: { id: string; source: string; takenAt: Date }[] = [];
  let marker: string | undefined;
  do {
    const page = await clients.rds(region).send(
      new DescribeDBSnapshotsCommand({
        ...(type === undefined ? {} : { SnapshotType: type }),
        ...(marker === undefined ? {} : { Marker: marker }),
      }),
      { abortSignal },
    );
    for (const { DBSnapshotIdentifier: id, DBInstanceIdentifier: source, ...more } of page.DBSnapshots ?? []) {
      // A copy was made later than what it holds was seen.
      const takenAt = more.OriginalSnapshotCreateTime ?? more.SnapshotCreateTime;
      if (id === undefined || source === undefined || takenAt === undefined || more.Status !== 'available') continue;
      found.push({ id, source, takenAt });
    }
    marker = page.Marker;
  } while (marker !== undefined && marker !== '');
  return found;
}
