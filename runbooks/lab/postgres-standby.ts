/** A streaming standby: a physical copy of a running primary that follows it. */
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PostgresOptions, type PostgresServer, startPostgres } from './postgres.ts';
import { chooseRunAs } from './postgres-binaries.ts';
import { runCommand } from './run-command.ts';

export interface StandbyOptions {
  readonly primary: PostgresServer;
  readonly primaryDirectory: string;
  /** Replaced if it exists. */
  readonly dataDirectory: string;
  readonly port: number;
  /** Where the standby reaches its primary: a proxy, for partitions. */
  readonly follow: { readonly host: string; readonly port: number };
  readonly settings?: Readonly<Record<string, string>>;
  readonly logFile?: string;
  /** As of `startPostgres`. */
  readonly host?: string;
  readonly enter?: PostgresOptions['enter'];
}

/** Files of a cluster that its copy must not have. */
const ownFiles = ['postmaster.pid', 'postmaster.opts', 'standby.signal', 'backup_label', 'pg_wal', 'pg_replslot'];

/** @returns once it answers. @throws LauncherError */
export async function startStandby(options: StandbyOptions): Promise<PostgresServer> {
  const { primary, primaryDirectory, dataDirectory, follow } = options;
  const client = new Client({ connectionString: primary.url(), ssl: false, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    await client.query(`SELECT pg_backup_start('standby', true)`);
    await copyCluster(primaryDirectory, dataDirectory);
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    await writeFile(join(dataDirectory, 'backup_label'), rows[0]?.labelfile ?? '', { mode: 0o600 });
  } finally {
    await client.end();
  }
  await makeStandby(dataDirectory, follow);
  return startPostgres({
    dataDirectory,
    port: options.port,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.enter === undefined ? {} : { enter: options.enter }),
  });
}

/** Copies the files of a cluster; one that is running must be told before. Its log of changes stays behind. */
export async function copyCluster(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await runCommand({ command: 'cp', args: ['-a', from, to] }, { timeoutSeconds: 60 });
  const runAs = await chooseRunAs();
  for (const name of ownFiles) await rm(join(to, name), { recursive: true, force: true });
  for (const name of ['pg_wal', 'pg_wal/archive_status', 'pg_wal/summaries', 'pg_replslot']) {
    await runCommand({ command: 'mkdir', args: ['-m', '700', join(to, name)] }, { timeoutSeconds: 5 });
    await runAs.give(join(to, name));
  }
}

/** The folder's server follows that one when it starts. */
async function makeStandby(
  dataDirectory: string,
  follow: { readonly host: string; readonly port: number },
): Promise<void> {
  const password = (await readFile(join(dataDirectory, 'holdfast-password'), 'utf8')).trim();
  const address = `host=${follow.host} port=${follow.port} user=holdfast password=${password} application_name=standby`;
  const patience = 'connect_timeout=2 keepalives_idle=1 keepalives_interval=1 keepalives_count=3';
  await appendFile(
    join(dataDirectory, 'postgresql.auto.conf'),
    `primary_conninfo = '${address} ${patience}'\nwal_retrieve_retry_interval = '200ms'\nwal_receiver_timeout = '3s'\n`,
  );
  const runAs = await chooseRunAs();
  const signal = join(dataDirectory, 'standby.signal');
  await writeFile(signal, '', { mode: 0o600 });
  for (const path of [signal, join(dataDirectory, 'backup_label')]) {
    await runAs.give(path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
  }
}
