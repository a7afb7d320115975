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

/** The newest snapshot of the region's database that can be used. */
export async function newestSnapshot(
  clients: AwsClients,
  region: string,
  source: string,
  abortSignal: AbortSignal,
): Promise<Backup | undefined> {
  let newest: { id: string; takenAt: Date } | undefined;
  let marker: string | undefined;
  do {
    const page = await clients.rds(region).send(
      new DescribeDBSnapshotsCommand({
        DBInstanceIdentifier: source,
        ...(marker === undefined ? {} : { Marker: marker }),
      }),
      { abortSignal },
    );
    for (const { DBSnapshotIdentifier: id, SnapshotCreateTime: takenAt, Status } of page.DBSnapshots ?? []) {
      if (id === undefined || takenAt === undefined || Status !== 'available') continue;
      if (newest === undefined || takenAt > newest.takenAt) newest = { id, takenAt };
    }
    marker = page.Marker;
  } while (marker !== undefined && marker !== '');
  if (newest === undefined) return undefined;
  const ageSeconds = Math.max(0, Date.now() - newest.takenAt.getTime()) / 1000;
  return { id: newest.id, takenAt: newest.takenAt.toISOString(), ageSeconds };
}
