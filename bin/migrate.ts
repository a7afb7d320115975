/** `holdfast migrate` */
import { readSettings } from '../gateway/settings.ts';
import { migrate } from '../gateway/stores/migrate.ts';
import { describeUrl } from '../gateway/stores/postgres.ts';
import { fail, say } from './say.ts';

export async function migrateDatabase(): Promise<number> {
  const { databaseUrl } = readSettings();
  if (databaseUrl === undefined)
    return fail('Set DATABASE_URL (or POSTGRES_HOST and so on) to the database that shall be migrated.', 2);
  try {
    const applied = await migrate(databaseUrl);
    say(
      applied.length === 0
        ? `${describeUrl(databaseUrl)} is up to date.`
        : `${describeUrl(databaseUrl)}: applied ${applied.join(', ')}.`,
    );
    return 0;
  } catch (error) {
    return fail(
      `${describeUrl(databaseUrl)} was not migrated: ${error instanceof Error ? error.message : String(error)}`,
      1,
    );
  }
}
