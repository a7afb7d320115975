/** A logical database of its own for each test file, in the one Redis of the run. */
import { Redis } from 'ioredis';
import { askServer } from './ask-server.ts';
import { redisDatabases } from './servers.ts';

export interface TestRedis {
  /** Names the logical database: keys are apart. Published messages are not, so channel names need the prefix. */
  readonly url: string;
  /** Unlike that of every other test file in the run. */
  readonly prefix: string;
  /** Removes the keys of this logical database. */
  flush(): Promise<void>;
}

/** Gives this test file its part of the run's Redis. For faults, start a server with `startRedis` instead. */
export async function freshRedis(): Promise<TestRedis> {
  const { url, serial } = await askServer('redis');
  const database = serial % redisDatabases;
  const databaseUrl = `${url}/${database}`;
  return { url: databaseUrl, prefix: `test${serial}:`, flush: () => flush(databaseUrl) };
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: 5000, commandTimeout: 5000 });
  try {
    await client.connect();
    await client.flushdb();
  } finally {
    client.disconnect();
  }
}
