/** A look into a database that was restored: what a gateway needs of it. */
import { z } from 'zod';
import type { RestoredContents } from '../books/backup-world.ts';
import { withDatabase } from './with-database.ts';

/** User, password, name and settings of the database that it was made from; host and port of its own. */
export function restoredUrl(source: string, host: string, port: number | undefined): string {
  const url = new URL(source);
  url.hostname = host;
  url.port = port === undefined ? '' : String(port);
  return url.href;
}

/** Counting a large table of spend takes a while, and nothing waits for it. */
const statementTimeoutMs = 120_000;

const rowSchema = z.object({
  schema_version: z.string(),
  keys: z.number(),
  spend_rows: z.number(),
  newest_spend_at: z.date().nullable(),
});

export async function readRestored(connectionString: string, signal: AbortSignal): Promise<RestoredContents> {
  return withDatabase(connectionString, statementTimeoutMs, signal, async (client) => {
    const { rows } = await client.query(
      `SELECT (SELECT name FROM migration ORDER BY name DESC LIMIT 1) AS schema_version,
              (SELECT count(*)::int FROM api_key WHERE deleted_at IS NULL) AS keys,
              (SELECT count(*)::int FROM spend_entry) AS spend_rows,
              (SELECT max(at) FROM spend_entry) AS newest_spend_at`,
    );
    const [row] = z.array(rowSchema).parse(rows);
    if (row === undefined) throw new Error('the restored database answers nothing');
    return {
      schemaVersion: row.schema_version,
      keys: row.keys,
      spendRows: row.spend_rows,
      newestSpendAt: row.newest_spend_at?.toISOString(),
    };
  });
}
