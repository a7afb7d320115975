/**
 * `node test/bench/cold-start.ts [STARTS]`: how long a gateway needs from its start to the first answer to a known key while
 * PostgreSQL, Redis and S3 are all away. For a machine on which nothing else runs: it prints the load of the last minute.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startObjectStore } from '../../runbooks/lab/object-store.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';
import { startRedis } from '../../runbooks/lab/redis.ts';
import { startTestGateway } from '../support/gateway.ts';
import { json, startRecorder } from '../support/recorder.ts';
import { behindProxies, completionStatus } from '../support/stores-away.ts';
import { shown } from './statistics.ts';

const starts = Number(process.argv[2] ?? 7);
const model = 'chat';
const directory = await mkdtemp(join(tmpdir(), 'holdfast-cold-start-'));
const postgres = await startPostgres({ dataDirectory: join(directory, 'postgres'), port: await freePort() });
await migrate(postgres.url());
const redis = await startRedis({ port: await freePort() });
const store = await startObjectStore();
const upstream = await startRecorder(
  json(200, {
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  }),
);
const real = { databaseUrl: postgres.url(), redisUrl: redis.url, store };
const stores = await behindProxies(real, upstream.origin, join(directory, 'data'));
stores.put(model);

/** @returns milliseconds to the first answer. @param key undefined = makes one. */
async function start(key: string | undefined): Promise<{ readonly tookMs: number; readonly key: string }> {
  const startedAt = performance.now();
  const gateway = await startTestGateway(stores.options);
  try {
    const known = key ?? /"key":"(sk-[^"]+)"/.exec(await (await gateway.post('/key/generate', {})).text())?.[1] ?? '';
    const status = await completionStatus(gateway, model, known);
    if (status !== 200) throw new Error(`the known key was answered ${status}`);
    return { tookMs: performance.now() - startedAt, key: known };
  } finally {
    await gateway.stop();
  }
}

const print = (name: string, samples: readonly number[]): boolean =>
  process.stdout.write(`${name.padEnd(26)} ${shown(samples, 0)} ms\n`);
try {
  const { key } = await start(undefined);
  const samplesOf = async (): Promise<number[]> => {
    const samples: number[] = [];
    for (let count = 0; count < starts; count++) samples.push((await start(key)).tookMs);
    return samples;
  };
  print('all stores up', await samplesOf());
  for (const how of ['refuse', 'silent'] as const) {
    await stores.away(how);
    print(`all away, ${how === 'refuse' ? 'refusing' : 'silent'}`, await samplesOf());
    await stores.heal();
  }
  process.stdout.write(
    `medians of ${starts} starts to the first answer to a known key, and the quartiles; load ${loadavg()[0]?.toFixed(1)} on ${cpus().length} processors\n`,
  );
} finally {
  await stores.close();
  await upstream.close();
  await store.close();
  await redis.stop();
  await postgres.stop('immediate');
  await rm(directory, { recursive: true, force: true });
}
