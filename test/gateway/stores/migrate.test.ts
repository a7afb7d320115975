import { readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

const directory = new URL('../../../gateway/stores/migrations/', import.meta.url);
const names = (await readdir(directory)).map((name) => name.replace(/\.sql$/, '')).toSorted();

async function emptyDatabase(): Promise<string> {
  const database = await freshDatabase();
  // It also checks that no connection was left open.
  onTestFinished(() => database.drop());
  return database.url;
}

const applied = async (url: string) =>
  (await query(url, 'SELECT name FROM migration ORDER BY id')).map((row) => row['name']);

describe('migrations', () => {
  it('bring an empty database up to date, in order, and do nothing the second time', async () => {
    const url = await emptyDatabase();
    expect(await migrate(url)).toEqual(names);
    expect(await applied(url)).toEqual(names);
    expect(await migrate(url)).toEqual([]);
    expect(await applied(url)).toEqual(names);
  });

  it('started three times at once are applied once, and all three succeed', async () => {
    const url = await emptyDatabase();
    const results = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    expect(results.flat()).toEqual(names);
    expect(await applied(url)).toEqual(names);
  });

  it('a database that cannot be reached is an error and not a success', async () => {
    await expect(migrate('postgresql://nobody@127.0.0.1:1/none')).rejects.toThrow('ECONNREFUSED');
  });

  it('the schema itself refuses a key that is no hash, and an ending that nobody knows', async () => {
    const url = await emptyDatabase();
    await migrate(url);
    await expect(query(url, `INSERT INTO api_key (key_hash, key_name) VALUES ('sk-plain', 'x')`)).rejects.toThrow(
      'violates check constraint',
    );
  });
});
