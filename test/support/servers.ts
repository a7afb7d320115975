/**
 * One PostgreSQL, one Redis and one moto for a whole run of vitest, each started when the first test asks for it. The main process
 * owns them, so they outlive the workers and end with the run; on Linux also if the run is killed.
 */
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { messageOf } from '../../runbooks/lab/error-code.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../runbooks/lab/postgres.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { type MotoServer, startMoto } from './aws/moto-server.ts';
import { wantedBinaries } from './postgres-majors.ts';
import { runDirectory } from './run-directory.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Port of the main process at which workers ask for servers. */
    testServersPort: number;
    /** Folder of this run; it goes with it. */
    runDirectory: string;
  }
}

/** What a worker gets to know about a server. */
export interface ServerAddress {
  readonly url: string;
  /** Counts up with each question: the Redis database number of whoever asked, and part of their AWS account's. */
  readonly serial: number;
}

/** Number of logical Redis databases, and so of test files that may ask for one in a run. */
export const redisDatabases = 10_000;

/** Vitest calls this once before all test files, and what it returns once after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await runDirectory();
  // Workers inherit it: what a killed process or a failed test leaves behind goes with the run.
  process.env['TMPDIR'] = join(directory, 'tmp');
  await mkdir(process.env['TMPDIR']);
  let postgres: Promise<PostgresServer> | undefined;
  let redis: Promise<RedisServer> | undefined;
  let moto: Promise<MotoServer> | undefined;
  let serial = 0;
  const addresses: Readonly<Record<string, () => Promise<string>>> = {
    '/postgres': async () => (await (postgres ??= startTestPostgres(directory))).url(),
    '/redis': async () => (await (redis ??= startTestRedis(directory))).url,
    '/moto': async () => (await (moto ??= startMoto())).url,
  };
  const control = createServer((request, response) => {
    const address = addresses[request.url ?? ''];
    serial += 1;
    const answer = { serial };
    void (address?.() ?? Promise.reject(new Error('no such server'))).then(
      (url) => response.end(JSON.stringify({ ...answer, url } satisfies ServerAddress)),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    );
  });
  const port = await freePort();
  await new Promise<void>((listening) => {
    control.listen(port, '127.0.0.1', listening);
  });
  project.provide('testServersPort', port);
  project.provide('runDirectory', directory);
  return async () => {
    control.closeAllConnections();
    control.close();
    // A start that failed has been reported to the test that asked.
    const started = await Promise.allSettled([postgres, redis, moto]);
    for (const server of started) if (server.status === 'fulfilled') await server.value?.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
}

/** Durability is off: nothing here needs to outlive a power cut, and crash tests start servers of their own. */
async function startTestPostgres(directory: string): Promise<PostgresServer> {
  const binaries = await wantedBinaries();
  return startPostgres({
    dataDirectory: join(directory, 'postgres'),
    port: await freePort(),
    ...(binaries === undefined ? {} : { binaries }),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' },
  });
}

async function startTestRedis(directory: string): Promise<RedisServer> {
  const args = ['--databases', String(redisDatabases)];
  return startRedis({ port: await freePort(), directory: join(directory, 'redis'), args });
}
