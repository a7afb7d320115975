/** Brings the schema up to date. Run once per release; several at once wait for each other. */
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import { openConnection } from './postgres.ts';

const migrationsDirectory = fileURLToPath(new URL('migrations', import.meta.url));
const longestMigrationSeconds = 600;

/** @returns names of the migrations that were applied, in order; empty when there was nothing to do. */
export async function migrate(url: string, log: (line: string) => void = () => undefined): Promise<string[]> {
  const client = await openConnection(url, longestMigrationSeconds);
  try {
    // A replica gets its schema from the primary; asking it to migrate is what every standby region's job does.
    const { rows } = await client.query<{ replica: boolean }>('SELECT pg_is_in_recovery() AS replica');
    if (rows[0]?.replica === true) return [];
    const applied = await runner({
      dbClient: client,
      dir: migrationsDirectory,
      direction: 'up',
      migrationsTable: 'migration',
      checkOrder: true,
      singleTransaction: true,
      advisoryLockMode: 'wait',
      log,
      verbose: false,
    });
    return applied.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}
