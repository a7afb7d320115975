/** The newest backup of each kind, and databases made from them: RDS's own backups, and what CronJobs put into buckets. */
import { type DBInstanceAutomatedBackup, DescribeDBInstanceAutomatedBackupsCommand } from '@aws-sdk/client-rds';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { bucketName, databaseIdentifier, objectKeys, prefix } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { Backup, BackupWorld, RestorableKind } from '../books/backup-world.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { type DumpTools, dumpRestores } from './dump-restores.ts';
import { dumpFolders, newestDump, storedDump } from './dumps.ts';
import { databasePlan } from './new-instance.ts';
import { describeInstance } from './region-database.ts';
import { readRestored, restoredUrl } from './restored-database.ts';
import { awsRestores, newestSnapshot } from './restores.ts';

export interface BackupsPlace {
  readonly platform: Platform;
  readonly regionOf: (name: string) => Region;
  /** How the region's database is reached from here: the restored one is, too, by its own host. */
  readonly databaseUrl: (region: string) => string;
  /** Absent = dumps are not restored here. */
  readonly dumps?: DumpTools;
}

/** Folders of the backup bucket; the rest of the kinds are RDS's. */
const folders: Readonly<Record<Exclude<RestorableKind, `postgresql-${'full' | 'wal' | 'dump'}`>, string>> = {
  'vault-snapshot': objectKeys.vaultSnapshots,
  'redis-rdb': objectKeys.redisSnapshots,
  configuration: objectKeys.configurationBackups,
  // The Vault snapshot holds them.
  'secrets-metadata': objectKeys.vaultSnapshots,
};

export function awsBackups(clients: AwsClients, place: BackupsPlace): BackupWorld {
  const { platform, regionOf, databaseUrl } = place;
  const identifierIn = (name: string): string => databaseIdentifier(platform, regionOf(name));
  // Of any region and generation, also one that `holdfast.config.ts` does not name any more.
  const isOurs = (identifier: string): boolean =>
    identifier.startsWith(`${prefix(platform)}-`) && /-db-\d+$/.test(identifier);
  return {
    newestBackup: (kind, region, signal) => {
      const identifier = identifierIn(region);
      if (kind === 'postgresql-full') return newestSnapshot(clients, region, identifier, isOurs, signal);
      if (kind === 'postgresql-wal') return latestMoment(clients, region, identifier, isOurs, signal);
      if (kind === 'postgresql-dump') {
        return newestDump(dumpFolders(platform), region, (one) =>
          newestObject(clients, one.region, one.bucket, one.folder, signal),
        );
      }
      const bucket = bucketName(platform, regionOf(region), 'backup');
      return newestObject(clients, region, bucket, folders[kind], signal);
    },
    dumpNamed: async (id, signal) => {
      const found = await storedDump(clients, id, dumpFolders(platform), signal);
      return found && backupOf(id, found.storedAt);
    },
    restores: {
      ...awsRestores(clients, {
        identifierIn,
        // Into the same subnets and behind the same security group: nobody else reaches it.
        surroundings: async (region, signal) =>
          (await databasePlan(clients, platform, regionOf(region), signal)).surroundings,
        dumps: place.dumps && dumpRestores(clients, { ...place, ...place.dumps }),
      }),
      read: async (region, name, signal) => {
        const instance = await describeInstance(clients, region, name, signal);
        const { Address: host, Port: port } = instance?.Endpoint ?? {};
        if (host === undefined) throw new Error(`RDS names no address of ${name}`);
        return readRestored(restoredUrl(databaseUrl(region), host, port), signal);
      },
    },
  };
}

/** To any moment until then: of a database that lives, by its own word; of one that is gone, by its backup's. */
async function latestMoment(
  clients: AwsClients,
  region: string,
  identifier: string,
  isOurs: (identifier: string) => boolean,
  abortSignal: AbortSignal,
): Promise<Backup | undefined> {
  const instance = await describeInstance(clients, region, identifier, abortSignal);
  if (instance?.LatestRestorableTime !== undefined) return backupOf(identifier, instance.LatestRestorableTime);
  try {
    const found: DBInstanceAutomatedBackup[] = [];
    let marker: string | undefined;
    do {
      const page = await clients
        .rds(region)
        .send(new DescribeDBInstanceAutomatedBackupsCommand(marker === undefined ? {} : { Marker: marker }), {
          abortSignal,
        });
      found.push(...(page.DBInstanceAutomatedBackups ?? []));
      marker = page.Marker;
    } while (marker !== undefined && marker !== '');
    const usable = found.flatMap(({ DBInstanceIdentifier: of = '', ...more }) => {
      const { DBInstanceAutomatedBackupsArn: arn, RestoreWindow: window } = more;
      return arn === undefined || window?.LatestTime === undefined ? [] : [{ of, arn, until: window.LatestTime }];
    });
    const ofOwn = usable.filter(({ of }) => of === identifier);
    const [newest] = (ofOwn.length > 0 ? ofOwn : usable.filter(({ of }) => isOurs(of))).toSorted(
      (one, other) => other.until.getTime() - one.until.getTime(),
    );
    return newest && backupOf(newest.arn, newest.until);
  } catch (error) {
    if (isNamed(error, 'DBInstanceAutomatedBackupNotFoundFault', 'DBInstanceAutomatedBackupNotFound')) return undefined;
    throw error;
  }
}

async function newestObject(
  clients: AwsClients,
  region: string,
  bucket: string,
  folder: string,
  abortSignal: AbortSignal,
): Promise<Backup | undefined> {
  let newest: { key: string; at: Date } | undefined;
  let token: string | undefined;
  do {
    const page = await clients.s3(region).send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: folder,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
      { abortSignal },
    );
    for (const { Key: key, LastModified: at, Size: size = 0 } of page.Contents ?? []) {
      // An upload that came to nothing leaves an empty object.
      if (key === undefined || at === undefined || size === 0) continue;
      if (newest === undefined || at > newest.at) newest = { key, at };
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return newest === undefined ? undefined : backupOf(`s3://${bucket}/${newest.key}`, newest.at);
}

export const backupOf = (id: string, takenAt: Date): Backup => ({
  id,
  takenAt: takenAt.toISOString(),
  ageSeconds: Math.max(0, Date.now() - takenAt.getTime()) / 1000,
});
