import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { type DatabaseTemplate, freshDatabase, type TestDatabase } from '../../support/postgres.ts';
import { freshRedis } from '../../support/redis.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('databases of the test run', () => {
  const made: TestDatabase[] = [];
  const make = async (template?: DatabaseTemplate): Promise<TestDatabase> => {
    const database = await freshDatabase(template);
    made.push(database);
    return database;
  };
  afterEach(async () => {
    for (const database of made.splice(0)) await database.drop();
  });

  it('are apart from each other', async () => {
    const [first, second] = [await make(), await make()];
    await query(first.url, 'CREATE TABLE mine (id int)');
    await expect(query(second.url, 'SELECT * FROM mine')).rejects.toThrow('does not exist');
  });

  it('are copied from a template that is prepared once, however many ask at once', async () => {
    let prepared = 0;
    const template: DatabaseTemplate = {
      name: `once_${process.pid}`,
      prepare: async (url) => {
        prepared += 1;
        await query(url, 'CREATE TABLE prepared AS SELECT 42 AS answer');
      },
    };
    const databases = await Promise.all([make(template), make(template), make(template)]);
    expect(prepared).toBe(1);
    for (const { url } of databases) expect(await query(url, 'SELECT answer FROM prepared')).toEqual([{ answer: 42 }]);
  });

  it('report connections that a test left open, and are dropped all the same', async () => {
    const database = await freshDatabase();
    const forgotten = new Client({ connectionString: database.url, application_name: 'forgotten' });
    const closed = new Promise((resolve) => {
      forgotten.once('end', resolve);
    });
    forgotten.on('error', () => undefined);
    await forgotten.connect();
    await expect(database.drop()).rejects.toThrow('1 connection(s) to the test database were left open: forgotten');
    await closed;
    await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist');
  });
});

describe('Redis of the test run', () => {
  it('keeps the keys of two users apart', async () => {
    const [first, second] = [await freshRedis(), await freshRedis()];
    const clients = [new Redis(first.url), new Redis(second.url)] as const;
    await clients[0].set('key', 'mine');
    expect(await clients[1].get('key')).toBeNull();
    await first.flush();
    expect(await clients[0].get('key')).toBeNull();
    for (const client of clients) client.disconnect();
  });
});
