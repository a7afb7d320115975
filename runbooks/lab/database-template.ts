/** A cluster with the schema, stopped: copying it takes a fraction of the time that making one takes. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { migrateLab } from './gateway-process.ts';
import { startPostgres } from './postgres.ts';
import { copyCluster } from './postgres-standby.ts';
import { runCommand } from './run-command.ts';

/** What nobody needs who does not fear a power cut is off. */
export const labDatabaseSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '80',
  shared_buffers: '16MB',
  wal_keep_size: '256MB',
  hot_standby_feedback: 'on',
} as const;

/** @returns its folder. */
export async function makeTemplate(directory: string, migrate?: (url: string) => Promise<void>): Promise<string> {
  const dataDirectory = join(directory, 'template');
  await mkdir(directory, { recursive: true });
  const server = await startPostgres({ dataDirectory, port: await freePort(), settings: labDatabaseSettings });
  await (migrate?.(server.url()) ?? migrateLab(server.url(), join(directory, 'migrate.log')));
  await server.stop();
  return dataDirectory;
}

/** A cluster that was stopped needs the end of its log to start. */
export async function copyStoppedCluster(from: string, to: string): Promise<void> {
  await copyCluster(from, to);
  await runCommand({ command: 'cp', args: ['-a', `${from}/pg_wal/.`, `${to}/pg_wal/`] }, { timeoutSeconds: 30 });
}
