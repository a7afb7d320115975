/** The database of one lab region, on its folder: started, copied, frozen, replaced. */
import { appendFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { copyStoppedCluster, labDatabaseSettings, makeTemplate } from './database-template.ts';
import { freePort } from './free-port.ts';
import type { LabLinks } from './lab-links.ts';
import { noteWritesSql } from './noted-writes.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { startStandby } from './postgres-standby.ts';
import { signalTree } from './process-tree.ts';
import { ask } from './region-database.ts';
import type { RegionName } from './region-name.ts';
import type { RegionNetwork } from './region-network.ts';

export interface DatabaseServerOptions {
  readonly directory: string;
  readonly links: LabLinks;
  readonly network: RegionNetwork;
  readonly notesWrites: boolean;
  readonly archivesLog: boolean;
  readonly template: string | undefined;
  /** Makes its users; harmless when repeated. */
  readonly secrets?: { users(): readonly string[] };
  /** That of the other region. */
  readonly peer: () => DatabaseServer;
}

export class DatabaseServer {
  readonly name: RegionName;
  readonly #options: DatabaseServerOptions;
  #server: PostgresServer | undefined;

  constructor(name: RegionName, options: DatabaseServerOptions) {
    this.name = name;
    this.#options = options;
  }

  get server(): PostgresServer {
    if (this.#server === undefined) throw new Error(`the database of ${this.name} was never started`);
    return this.#server;
  }

  get directory(): string {
    return join(this.#options.directory, `${this.name}-database`);
  }

  /** Where its log of changes is kept for restores to a point in time. */
  get archiveDirectory(): string {
    return join(this.#options.directory, `${this.name}-archive`);
  }

  async startPrimary(): Promise<void> {
    const { directory, notesWrites, template } = this.#options;
    await copyStoppedCluster(template ?? (await makeTemplate(directory)), this.directory);
    await this.#admit();
    await this.#start(await freePort());
    await ask(this.server.url(), 'SELECT name_first_region($1)', [this.name]);
    if (notesWrites) await ask(this.server.url(), noteWritesSql);
    await this.#makeUsers();
  }

  async #makeUsers(): Promise<void> {
    for (const statement of this.#options.secrets?.users() ?? []) await ask(this.server.url(), statement);
  }

  /** Both regions' proxies, since the replica will have the same file. */
  async #admit(): Promise<void> {
    const ranges = [this.#options.network.range, this.#options.peer().#options.network.range];
    const lines = ranges.flatMap((range) =>
      range === undefined ? [] : ['all', 'replication'].map((what) => `host ${what} all ${range} scram-sha-256\n`),
    );
    await appendFile(join(this.directory, 'pg_hba.conf'), lines.join(''));
  }

  /** A replica of the other region's, in the place of whatever was here. */
  async follow(): Promise<void> {
    const primary = this.#options.peer();
    const { host, port } = this.#options.links.of(`${this.name}.database>${primary.name}.database`);
    this.#server = await startStandby({
      primary: primary.server,
      primaryDirectory: primary.directory,
      dataDirectory: this.directory,
      port: this.#server?.port ?? (await freePort()),
      follow: { host, port },
      settings: this.#settings,
      ...this.#standing,
    });
  }

  async #start(port: number): Promise<void> {
    this.#server = await startPostgres({
      dataDirectory: this.directory,
      port,
      settings: this.#settings,
      ...this.#standing,
    });
  }

  /** Where it listens, if not on loopback. */
  get #standing() {
    const { inside, range, enter } = this.#options.network;
    return range === undefined ? {} : { host: inside, enter };
  }

  get #settings(): Readonly<Record<string, string>> {
    if (!this.#options.archivesLog) return labDatabaseSettings;
    // Under its name it is whole: a restore may read what is archived at that moment.
    const file = `${this.archiveDirectory}/%f`;
    const archive_command = `mkdir -p ${this.archiveDirectory} && cp %p ${file}.new && mv ${file}.new ${file}`;
    return { ...labDatabaseSettings, archive_mode: 'on', archive_timeout: '60s', archive_command };
  }

  /** SIGSTOP or SIGCONT for it with all its processes. */
  freeze(): Promise<void> {
    return signalTree(this.server.pid, 'SIGSTOP');
  }

  thaw(): Promise<void> {
    return signalTree(this.server.pid, 'SIGCONT');
  }

  /** Starts it again on its folder, after a kill. */
  restart(): Promise<void> {
    return this.#start(this.server.port);
  }

  /** Throws it away and makes a replica of the other region's. */
  async rebuild(): Promise<void> {
    await this.server.stop('immediate');
    await this.follow();
  }

  /** The cluster in that folder takes its place and its address; the old one is put aside. */
  async replaceBy(folder: string): Promise<void> {
    await this.server.stop('immediate');
    await rename(this.directory, `${this.directory}-before-${Date.now()}`);
    await rename(folder, this.directory);
    await this.#start(this.server.port);
    // Rotated since the backup was taken.
    await this.#makeUsers();
  }

  async stop(): Promise<void> {
    if (this.#server !== undefined) {
      await this.thaw();
      await this.#server.stop('immediate');
    }
    if (this.#options.archivesLog) await rm(this.archiveDirectory, { recursive: true, force: true });
  }
}
