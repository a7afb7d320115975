/** Logical dumps of a lab database: pg_dump's own format, read back by pg_restore into a cluster that never saw the old one. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyStoppedCluster, labDatabaseSettings } from './database-template.ts';
import { freePort } from './free-port.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { chooseRunAs } from './postgres-binaries.ts';
import type { PostgresClient } from './postgres-client.ts';
import { ask } from './region-database.ts';
import { runCommand } from './run-command.ts';

const timeoutSeconds = 120;

/** The file is whole when this resolves. @param url of the database, with its password. */
export async function takeDump(client: PostgresClient, url: string, file: string, signal: AbortSignal): Promise<void> {
  const line = client('pg_dump', ['--format=custom', `--file=${file}`], connectionOf(url));
  await runCommand(line, { timeoutSeconds, signal });
}

export interface DumpRestore {
  readonly file: string;
  /** Of the new cluster; there is none yet. */
  readonly directory: string;
  /** A cluster with the password that the lab knows, stopped. */
  readonly template: string;
  /** Of the database whose place it takes: who may connect from where is no part of a dump. */
  readonly admission: string;
  /** Roles are no part of a dump either. */
  readonly users: readonly string[];
}

/** As in a new database; `--clean` of pg_restore cannot drop what partitions inherit. */
const empty = [
  'DROP SCHEMA public CASCADE',
  'CREATE SCHEMA public AUTHORIZATION pg_database_owner',
  'GRANT USAGE ON SCHEMA public TO PUBLIC',
];

/** @returns the running server; nothing is left running when it rejects. */
export async function restoreDump(client: PostgresClient, restore: DumpRestore): Promise<PostgresServer> {
  const { file, directory, template, admission, users } = restore;
  await copyStoppedCluster(template, directory);
  await copyFile(admission, join(directory, 'pg_hba.conf'));
  await (await chooseRunAs()).give(join(directory, 'pg_hba.conf'));
  const settings = { ...labDatabaseSettings, archive_mode: 'off' };
  const server = await startPostgres({ dataDirectory: directory, port: await freePort(), settings });
  try {
    for (const statement of [...users, ...empty]) await ask(server.url(), statement);
    const connection = connectionOf(server.url());
    const whole = ['--no-owner', '--exit-on-error', '--single-transaction'];
    const line = client('pg_restore', [...whole, `--dbname=${connection.PGDATABASE}`, file], connection);
    await runCommand(line, { timeoutSeconds });
    return server;
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

/** As variables: everybody may read the arguments of a process. */
function connectionOf(text: string) {
  const { hostname, port, username, password, pathname } = new URL(text);
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGCONNECT_TIMEOUT: '10',
  };
}
