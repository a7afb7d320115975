import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { isRunning, until } from '../support/processes.ts';

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream' });
  const cached = 'litellm_settings: {cache: true, cache_params: {type: local, mode: default_off}}';
  gateway = await startTestGateway({
    config: configFor([upstream.url], cached),
    databaseUrl: database.url,
    workers: 2,
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

/** One connection each, so that the processes take turns. */
const ask = () => gateway.post('/v1/chat/completions', hello, { connection: 'close' });

it('one /metrics counts the requests of all processes', async () => {
  const before = await requestsCounted();
  await Promise.all(Array.from({ length: 20 }, async () => (await ask()).text()));
  for (let scrape = 0; scrape < 4; scrape++) expect(await requestsCounted()).toBe(before + 20);
});

it('a removal from the cache reaches all processes, also without Redis', async () => {
  const hits = async (cache: object): Promise<boolean[]> => {
    const answers = Array.from({ length: 10 }, async () => {
      const answer = await gateway.post('/v1/chat/completions', { ...hello, cache }, { connection: 'close' });
      await answer.text();
      return answer.headers.get('x-litellm-cache-hit') === 'true';
    });
    return Promise.all(answers);
  };
  await until(async () => (await hits({ 'use-cache': true })).every(Boolean));
  expect((await gateway.post('/cache/flushall', {})).status).toBe(200);
  await until(async () => (await hits({ 'use-cache': true, 'no-store': true })).every((isHit) => !isHit), 2_000);
});

const isServedTenTimes = async (): Promise<boolean> => {
  for (let request = 0; request < 10; request++) if (!(await isServed())) return false;
  return true;
};

it('a process that is killed is replaced while the other serves on', async () => {
  await until(async () => (await workerPids()).length === 2);
  const [victim, other] = await workerPids();
  if (victim === undefined || other === undefined) throw new Error('two workers expected');
  process.kill(victim, 'SIGKILL');
  await until(() => !isRunning(victim));
  // Connections to the dead process are gone, and some may be handed to it before its supervisor knows: milliseconds.
  await until(isServedTenTimes, 1_000);
  await until(async () => (await workerPids()).length === 2);
  expect(await workerPids()).not.toContain(victim);
  expect(await workerPids()).toContain(other);
  expect(await gateway.output()).toContain(`"lost":${victim}`);
});

it('a replacement whose config file was broken meanwhile serves what was live, and says why', async () => {
  const good = await readFile(gateway.configPath, 'utf8');
  await until(async () => (await workerPids()).length === 2);
  const [victim] = await workerPids();
  if (victim === undefined) throw new Error('two workers expected');
  await writeFile(gateway.configPath, 'model_list: []');
  process.kill(victim, 'SIGKILL');
  await until(async () =>
    /model_list.*starting with the newest config version of the database instead/.test(await gateway.output()),
  );
  await until(async () => (await workerPids()).length === 2);
  await until(isServed, 1_000);
  await writeFile(gateway.configPath, good);
});

it('workers end with their supervisor, also when it is killed', async () => {
  const doomed = await startTestGateway({ config: configFor([upstream.url]), databaseUrl: database.url, workers: 2 });
  await until(async () => (await workerPids(doomed)).length === 2);
  const pids = await workerPids(doomed);
  doomed.kill('SIGKILL');
  await until(() => pids.every((pid) => !isRunning(pid)));
  await doomed.stop();
});

async function isServed(): Promise<boolean> {
  try {
    return (await ask()).status === 200;
  } catch (error) {
    // The client's connection ended with the process it led to.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Every process writes its pid into its first log line, which appears within half a second. */
async function workerPids(of = gateway): Promise<number[]> {
  const lines = (await of.output()).split('\n').filter((line) => line.includes('accepts requests'));
  return lines.map((line) => Number(/"pid":(\d+)/.exec(line)?.[1])).filter((pid) => isRunning(pid));
}

async function requestsCounted(): Promise<number> {
  const text = await (await gateway.request('/metrics')).text();
  return Number(/litellm_proxy_total_requests_metric_total{[^}]*status_code="200"[^}]*} (\d+)/.exec(text)?.[1] ?? 0);
}
