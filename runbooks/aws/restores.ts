/** Databases from RDS snapshots, automated backups and dumps, beside what is in use. */
import {
  DeleteDBInstanceCommand,
  DescribeDBSnapshotsCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
} from '@aws-sdk/client-rds';
import type { Backup, Restores } from '../books/backup-world.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { restoredInstance } from './database-in-use.ts';
import type { dumpRestores } from './dump-restores.ts';
import type { Surroundings } from './new-instance.ts';
import { dumpTag, restoredTag } from './restored-tag.ts';

export interface RestorePlace {
  /** Of the region's database, as the stack names it. */
  readonly identifierIn: (region: string) => string;
  /** Where the new database stands: what the region's own one stands in. */
  readonly surroundings: (region: string, signal: AbortSignal) => Promise<Surroundings>;
  /** Undefined = dumps are not restored here. */
  readonly dumps: ReturnType<typeof dumpRestores> | undefined;
}

export function awsRestores(clients: AwsClients, place: RestorePlace): Omit<Restores, 'read'> {
  const { dumps } = place;
  return {
    ways: ['snapshot', 'point-in-time', ...(dumps === undefined ? [] : (['dump'] as const))],
    obstacle: async (way, region, signal) => (way === 'dump' ? dumps?.obstacle(region, signal) : undefined),
    view: async (region, name, signal) => {
      const instance = await restoredInstance(clients, region, name, place.identifierIn(region), signal);
      if (instance === undefined) return 'absent';
      const { DBInstanceStatus: status, TagList: tags = [], Endpoint: { Address: host, Port: port } = {} } = instance;
      if (status !== 'available') return 'creating';
      if (dumps === undefined || host === undefined || !tags.some(({ Key }) => Key === dumpTag)) return 'ready';
      return states[await dumps.contents(region, name, { host, port }, signal)];
    },
    begin: async (request, _token, abortSignal, progress) => {
      const { region, way, backup, at, as } = request;
      if (way === 'dump') {
        if (dumps === undefined) throw new Error('dumps are not restored here');
        return dumps.restore(request, abortSignal, progress);
      }
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
    remove: async (region, name, abortSignal) => {
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

const states = { empty: 'empty', loading: 'creating', loaded: 'ready' } as const;

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
