/**
 * Backups of the lab: copies of its database with the log of changes since, of its configuration and of its secret store.
 * They are made by `takeBackups`, restored beside what is in use, and put in its place when a book says so.
 */
import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { readRestored } from '../aws/restored-database.ts';
import { ArchivedSpend, type BookedSpend } from '../books/archived-spend.ts';
import type { Backup, BackupWorld, RestorableKind, RestoreRequest } from '../books/backup-world.ts';
import type { DatabaseInUse } from '../books/database-restore.ts';
import { labDatabaseSettings } from './database-template.ts';
import { hasCode, messageOf } from './error-code.ts';
import { freePort } from './free-port.ts';
import { restoreDump, takeDump } from './lab-dumps.ts';
import type { LabRegion } from './lab-region.ts';
import type { LabSecretStore } from './lab-secrets.ts';
import { labRestoreWays } from './lab-verbs.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { chooseRunAs } from './postgres-binaries.ts';
import { findPostgresClient } from './postgres-client.ts';
import { copyCluster } from './postgres-standby.ts';
import { ask, labDatabase } from './region-database.ts';
import { otherRegion, type RegionName, regionNamed, regionNames } from './region-name.ts';
import { runCommand } from './run-command.ts';
import type { TwoRegions } from './two-regions.ts';

export interface LabBackupsOptions {
  readonly lab: TwoRegions;
  readonly directory: string;
  readonly config: string;
  readonly secrets: LabSecretStore;
  /** A cluster with the lab's schema, stopped. */
  readonly template: string;
  /** Seconds since the oldest spend event that a gateway of the region has not shipped yet. */
  readonly oldestUnshippedSeconds: (region: RegionName, signal: AbortSignal) => Promise<number>;
  /** May be repeated. */
  readonly bookArchivedSpend: (region: RegionName, signal: AbortSignal) => Promise<BookedSpend>;
}

const clusterPrefix = 'database-';
const dumpFile = 'database.dump';
const configurationFile = 'configuration.yaml';
const secretsFile = 'secrets.json';
const metadataFile = 'secrets-metadata.json';
/** In a restored cluster: the name that it was restored under. */
const nameFile = 'holdfast-restored-as';
/** Events of the last moments are on their way at all times. */
const drainedSeconds = 5;

export class LabBackups implements BackupWorld {
  readonly #options: LabBackupsOptions;
  /** Restored databases on which all gateways of a region have started. */
  readonly #begunWith = new Map<RegionName, string>();
  /** Why the last backup has no dump. */
  #noDump: string | undefined;
  readonly #spend: ArchivedSpend;
  readonly #restored = new Map<string, { readonly directory: string; server: PostgresServer | undefined }>();

  constructor(options: LabBackupsOptions) {
    this.#options = options;
    this.#spend = new ArchivedSpend({
      oldestUnshippedSeconds: (region, signal) => options.oldestUnshippedSeconds(regionNamed(region), signal),
      drainedSeconds,
      reingest: (region, signal) => options.bookArchivedSpend(regionNamed(region), signal),
    });
  }

  /** One of everything, of the region that writes. */
  async takeBackups(signal: AbortSignal): Promise<void> {
    const { lab, config, secrets } = this.#options;
    const writer = (await lab.claims.read(signal)).agreed?.writer;
    if (writer === undefined) throw new Error('the claim names no writer');
    const folder = this.#folderOf(regionNamed(writer));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, configurationFile), config);
    await writeFile(join(folder, secretsFile), secrets.snapshot(), { mode: 0o600 });
    await writeFile(join(folder, metadataFile), secrets.metadata());
    await copyRunning(lab.region(regionNamed(writer)), join(folder, `${clusterPrefix}${Date.now()}`));
    await this.#takeDump(lab.region(regionNamed(writer)).operatorUrl, join(folder, dumpFile), signal);
  }

  /** A machine without pg_dump has the other backups all the same. */
  async #takeDump(url: string, file: string, signal: AbortSignal): Promise<void> {
    this.#noDump = undefined;
    try {
      await takeDump(await findPostgresClient({ signal }), url, `${file}.new`, signal);
      await rename(`${file}.new`, file);
    } catch (error) {
      signal.throwIfAborted();
      this.#noDump = messageOf(error);
    }
  }

  async #newestDump(region: RegionName): Promise<Backup | undefined> {
    const found = await backupAt(join(this.#folderOf(region), dumpFile));
    if (found === undefined && this.#noDump !== undefined) throw new Error(`there is no dump: ${this.#noDump}`);
    return found;
  }

  /** Each region has copies of the other one's, too. */
  async newestBackup(kind: RestorableKind, region: string): Promise<Backup | undefined> {
    const name = regionNamed(region);
    return (await this.#newestOf(kind, name)) ?? this.#newestOf(kind, otherRegion(name));
  }

  async #newestOf(kind: RestorableKind, name: RegionName): Promise<Backup | undefined> {
    switch (kind) {
      case 'postgresql-full':
        return this.#newestCluster(name);
      case 'postgresql-dump':
        return this.#newestDump(name);
      case 'postgresql-wal':
        return (await this.#newestCluster(name)) && this.#newestLog(name);
      case 'configuration':
        return backupAt(join(this.#folderOf(name), configurationFile));
      case 'vault-snapshot':
        return backupAt(join(this.#folderOf(name), secretsFile));
      case 'secrets-metadata':
        return backupAt(join(this.#folderOf(name), metadataFile));
      case 'redis-rdb':
        // Its cache keeps nothing.
        return undefined;
    }
  }

  #folderOf = (region: RegionName): string => join(this.#options.directory, `${region}-backups`);

  /** The region whose database was backed up there. */
  #homeOf(backup: string): RegionName {
    const { lab } = this.#options;
    const home = regionNames.find((name) =>
      [this.#folderOf(name), lab.region(name).store.archiveDirectory].includes(dirname(backup)),
    );
    if (home === undefined) throw new Error(`${backup} is no backup of the lab`);
    return home;
  }

  async #newestCluster(region: RegionName): Promise<Backup | undefined> {
    const folder = this.#folderOf(region);
    const names = (await namesIn(folder)).filter((name) => name.startsWith(clusterPrefix)).toSorted();
    const newest = names.at(-1);
    return newest === undefined ? undefined : backupAt(join(folder, newest));
  }

  /** The file that was written last; a living database ends the one that it writes to. */
  async #newestLog(region: RegionName): Promise<Backup | undefined> {
    const here = this.#options.lab.region(region);
    await ask(here.operatorUrl, 'SELECT pg_switch_wal() WHERE NOT pg_is_in_recovery()').catch(() => undefined);
    const names = (await namesIn(here.store.archiveDirectory)).filter((name) => !name.endsWith('.new'));
    const files = await Promise.all(names.map((name) => backupAt(join(here.store.archiveDirectory, name))));
    return files.filter((found) => found !== undefined).toSorted((one, other) => one.ageSeconds - other.ageSeconds)[0];
  }

  readonly restores: BackupWorld['restores'] = {
    ways: labRestoreWays,
    view: async (_region, name) => {
      const found = this.#restored.get(name);
      if (found === undefined) return (await this.#inUseAs(name)) ? 'ready' : 'absent';
      return found.server === undefined ? 'creating' : 'ready';
    },
    begin: async (request) => {
      if (this.#restored.has(request.as) || (await this.#inUseAs(request.as))) return;
      await this.#restore(request);
    },
    remove: async (_region, name) => {
      const found = this.#restored.get(name);
      await found?.server?.stop('immediate');
      if (found !== undefined) await rm(found.directory, { recursive: true, force: true });
      this.#restored.delete(name);
    },
    read: async (region, name, signal) => readRestored(await this.#urlOf(region, name), signal),
  };

  async #restore(request: RestoreRequest): Promise<void> {
    const directory = join(this.#options.directory, request.as);
    const restored: { readonly directory: string; server: PostgresServer | undefined } = {
      directory,
      server: undefined,
    };
    this.#restored.set(request.as, restored);
    try {
      await rm(directory, { recursive: true, force: true });
      restored.server = await (request.way === 'dump'
        ? this.#fromDump(request, directory)
        : this.#fromCopy(request, directory));
      await writeFile(join(directory, nameFile), request.as);
      await (await chooseRunAs()).give(join(directory, nameFile));
    } catch (error) {
      await restored.server?.stop('immediate');
      this.#restored.delete(request.as);
      throw error;
    }
  }

  async #fromDump({ region, backup }: RestoreRequest, directory: string): Promise<PostgresServer> {
    const { lab, template, secrets } = this.#options;
    const admission = join(lab.region(regionNamed(region)).store.directory, 'pg_hba.conf');
    const client = await findPostgresClient();
    return restoreDump(client, { file: backup, directory, template, admission, users: secrets.users() });
  }

  async #fromCopy({ region, way, backup, at }: RestoreRequest, directory: string): Promise<PostgresServer> {
    const home = this.#homeOf(backup);
    // For a point in time `backup` is the end of the log; it begins with a copy.
    const from = way === 'snapshot' ? backup : (await this.#newestCluster(home))?.id;
    if (from === undefined) throw new Error(`there is no copy of the database of ${region} to begin with`);
    await runCommand({ command: 'cp', args: ['-a', from, directory] }, { timeoutSeconds: 120 });
    const { archiveDirectory } = this.#options.lab.region(home).store;
    await recoverFrom(directory, archiveDirectory, way === 'snapshot' ? 'copy' : (at ?? 'latest'));
    const runAs = await chooseRunAs();
    for (const file of ['recovery.signal', 'postgresql.auto.conf']) await runAs.give(join(directory, file));
    const server = await startPostgres({
      dataDirectory: directory,
      port: await freePort(),
      settings: { ...labDatabaseSettings, archive_mode: 'off' },
    });
    try {
      await untilPrimary(server.url());
      return server;
    } catch (error) {
      await server.stop('immediate');
      throw error;
    }
  }

  readonly inUse: DatabaseInUse = {
    name: (region) => this.#nameInUse(regionNamed(region)),
    use: async (region, name) => {
      const here = regionNamed(region);
      if ((await this.#nameInUse(here)) === name) return;
      const found = this.#restored.get(name);
      if (found === undefined) throw new Error(`there is no restored database ${name}`);
      await found.server?.stop('fast');
      await this.#options.lab.region(here).store.replaceBy(found.directory);
      this.#restored.delete(name);
      this.#spend.begin(region);
    },
    // One that was interrupted starts with the first again.
    forgotten: async (region, name) => (this.#begunWith.get(regionNamed(region)) === name ? 'all' : 'none'),
    forget: async (region, name, signal) => {
      const here = this.#options.lab.region(regionNamed(region));
      for (const index of here.places.keys()) {
        signal.throwIfAborted();
        await here.replaceGateway(index);
      }
      this.#begunWith.set(regionNamed(region), name);
    },
    raise: async (region, name, epoch, writer, signal) =>
      (await this.#operatorOf(region, name)).raise(epoch, writer, signal),
    epochOf: async (region, name, signal) => (await (await this.#operatorOf(region, name)).view(signal)).row.epoch,
    missingSpend: (region, signal) => this.#spend.missingSpend(region, signal),
    reingest: (region, token, signal) => this.#spend.reingest(region, token, signal),
  };

  async #operatorOf(region: string, name: string) {
    const url = await this.#urlOf(region, name);
    return labDatabase(() => url);
  }

  async #urlOf(region: string, name: string): Promise<string> {
    const found = this.#restored.get(name);
    if (found?.server !== undefined) return found.server.url();
    const here = regionNamed(region);
    if ((await this.#nameInUse(here)) === name) return this.#options.lab.region(here).operatorUrl;
    throw new Error(`there is no restored database ${name}`);
  }

  async #inUseAs(name: string): Promise<boolean> {
    const names = await Promise.all(regionNames.map((region) => this.#nameInUse(region)));
    return names.includes(name);
  }

  async #nameInUse(region: RegionName): Promise<string> {
    const { directory } = this.#options.lab.region(region).store;
    try {
      return await readFile(join(directory, nameFile), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return `${region}-database`;
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const { server } of this.#restored.values()) await server?.stop('immediate');
  }
}

/** As a standby is made: the database goes on meanwhile. */
async function copyRunning(region: LabRegion, to: string): Promise<void> {
  const client = new Client({ connectionString: region.database.url(), ssl: false, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SELECT pg_backup_start('backup', true)`);
    await copyCluster(region.store.directory, to);
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(true)');
    await writeFile(join(to, 'backup_label'), rows[0]?.labelfile ?? '', { mode: 0o600 });
    await (await chooseRunAs()).give(join(to, 'backup_label'));
  } finally {
    await client.end();
  }
}

/** @param until `copy` = as the copy was when it was complete, `latest` = to the end of the log, else ISO 8601. */
async function recoverFrom(directory: string, archive: string, until: string): Promise<void> {
  const target =
    until === 'copy'
      ? `recovery_target = 'immediate'\n`
      : until === 'latest'
        ? ''
        : `recovery_target_time = '${until}'\n`;
  await appendFile(
    join(directory, 'postgresql.auto.conf'),
    `restore_command = 'cp ${archive}/%f %p'\nrecovery_target_action = 'promote'\n${target}`,
  );
  await writeFile(join(directory, 'recovery.signal'), '', { mode: 0o600 });
}

async function untilPrimary(url: string): Promise<void> {
  const end = performance.now() + 60_000;
  for (;;) {
    const [row] = await ask(url, 'SELECT pg_is_in_recovery() AS recovering');
    if (row?.['recovering'] === false) return;
    if (performance.now() > end) throw new Error('the restored database does not come to the end of its recovery');
    await sleep(50);
  }
}

async function backupAt(path: string): Promise<Backup | undefined> {
  try {
    const { mtime } = await stat(path);
    return { id: path, takenAt: mtime.toISOString(), ageSeconds: Math.max(0, (Date.now() - mtime.getTime()) / 1000) };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
