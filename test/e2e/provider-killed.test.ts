import { afterEach, beforeEach, expect, it } from 'vitest';
import { startUpstreamProcess, type UpstreamProcess } from '../../runbooks/lab/upstream-launcher.ts';
import { configFor, hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let database: TestDatabase;
let upstreams: UpstreamProcess[];
let gateway: TestGateway;

beforeEach(async () => {
  const directory = await temporaryDirectory();
  database = await migratedDatabase();
  upstreams = await Promise.all(['one', 'two'].map((name) => startUpstreamProcess(name, directory)));
  gateway = await startTestGateway({
    config: configFor(upstreams.map((upstream) => upstream.url)),
    databaseUrl: database.url,
  });
});

afterEach(async () => {
  await gateway.stop();
  await Promise.all(upstreams.map((upstream) => upstream.stop()));
  await database.drop();
});

it('1,000 requests at concurrency 32 all succeed while one of two deployments is killed, and each leaves one spend row', async () => {
  const answers = await load(1_000, 32, false);
  expect(answers.filter(({ status, text }) => status === 200 && text.includes('You said: Hello!'))).toHaveLength(1_000);
  await until(async () => (await countRows()) === 1_000);
  const [row] = await query(
    database.url,
    `SELECT count(DISTINCT id)::int AS n, max(attempts) AS most FROM spend_entry WHERE status = 200`,
  );
  expect(row?.['n']).toBe(1_000);
  // The kill was noticed: somebody needed a second attempt.
  expect(row?.['most']).toBeGreaterThan(1);
});

it('a stream cut by the kill ends with an error event, every other one with [DONE]: none is truncated in silence', async () => {
  const answers = await load(300, 32, true);
  const endings = answers.map(({ text }) =>
    text.endsWith('data: [DONE]\n\n') ? 'done' : /data: {"error":{.*}}\n\n$/.test(text) ? 'error' : 'cut',
  );
  expect(endings.filter((ending) => ending === 'cut')).toEqual([]);
  // Only streams that ran when the upstream died can have been hurt.
  expect(endings.filter((ending) => ending === 'error').length).toBeLessThanOrEqual(32);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  await until(async () => (await countRows()) === 300);
  const [row] = await query(database.url, `SELECT count(*)::int AS n FROM spend_entry WHERE ending = 'broken'`);
  expect(row?.['n']).toBe(endings.filter((ending) => ending === 'error').length);
});

/** Sends `total` requests from `concurrency` clients; a third of the way the first upstream is killed. */
async function load(total: number, concurrency: number, stream: boolean): Promise<{ status: number; text: string }[]> {
  const answers: { status: number; text: string }[] = [];
  const [victim] = upstreams;
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < total) {
      next++;
      if (next === Math.floor(total / 3)) victim?.kill('SIGKILL');
      const response = await gateway.post('/v1/chat/completions', { ...hello, stream });
      answers.push({ status: response.status, text: await response.text() });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  await victim?.exited;
  return answers;
}

/** Of requests; an attempt that the killed upstream may bill has a row of its own, of unknown cost. */
const countRows = async (): Promise<number> =>
  Number(
    (
      await query(
        database.url,
        `SELECT count(*)::int AS n FROM spend_entry WHERE NOT (ending = 'failed' AND cost_micros IS NULL AND attempts = 1)`,
      )
    )[0]?.['n'],
  );
