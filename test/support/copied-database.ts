/** A database as a restore from a backup would make it. */

import type { TestDatabase } from './postgres.ts';
import { query } from './query.ts';

/** Everything that was committed until now; connections to the original are broken. */
export async function copyOf({ url }: Pick<TestDatabase, 'url'>): Promise<Pick<TestDatabase, 'url' | 'drop'>> {
  const admin = new URL(url);
  const original = admin.pathname.slice(1);
  const copy = `${original}_restored`;
  admin.pathname = '/postgres';
  await query(admin.href, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${original}'`);
  await query(admin.href, `CREATE DATABASE "${copy}" TEMPLATE "${original}"`);
  const there = new URL(url);
  there.pathname = `/${copy}`;
  return {
    url: there.href,
    drop: async () => void (await query(admin.href, `DROP DATABASE "${copy}" WITH (FORCE)`)),
  };
}
