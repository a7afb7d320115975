import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, masterKey, migratedDatabase, startTestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { within } from '../support/quiet-machine.ts';

let database: TestDatabase;
let slow: Upstream;

beforeAll(async () => {
  database = await migratedDatabase();
  // A stream of this upstream takes about a second.
  slow = await startUpstream({ name: 'a slow upstream that thinks about each of its words', chunkEveryMs: 80 });
});

afterAll(async () => {
  await slow.close();
  await database.drop();
});

it.each([1, 2])(
  'SIGTERM cuts no running stream, refuses new connections, writes every spend row and exits with 0 (workers: %i)',
  async (workers) => {
    const gateway = await startTestGateway({ config: configFor([slow.url]), databaseUrl: database.url, workers });
    const before = await countRows();
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => gateway.post('/v1/chat/completions', { ...hello, stream: true })),
    );
    gateway.kill('SIGTERM');
    const texts = Promise.all(streams.map((response) => response.text()));
    await until(async () => !(await accepts(gateway.url)));
    expect((await texts).filter((text) => !text.endsWith('data: [DONE]\n\n'))).toEqual([]);
    expect(await gateway.exited).toEqual({ code: 0, signal: null });
    expect(await countRows()).toBe(before + 20);
    await gateway.stop();
  },
);

it('during the notice time readiness says 503, liveness 200, and requests are still served with "connection: close"', async () => {
  const gateway = await startTestGateway({
    config: configFor([slow.url]),
    databaseUrl: database.url,
    environment: { HOLDFAST_DRAIN_NOTICE_SECONDS: '2' },
  });
  gateway.kill('SIGTERM');
  await until(async () => (await gateway.request('/health/ready')).status === 503);
  expect((await gateway.request('/health/liveliness')).status).toBe(200);
  const late = await gateway.post('/v1/embeddings', { model: 'chat', input: 'late' });
  expect(late.status).toBe(200);
  expect(late.headers.get('connection')).toBe('close');
  expect((await gateway.exited).code).toBe(0);
  await gateway.stop();
});

it('a stream that outlives the drain deadline ends with an error event, not in silence', async () => {
  const gateway = await startTestGateway({
    config: configFor([slow.url]),
    databaseUrl: database.url,
    environment: { HOLDFAST_DRAIN_DEADLINE_SECONDS: '0.2' },
  });
  const response = await gateway.post('/v1/chat/completions', { ...hello, stream: true });
  gateway.kill('SIGTERM');
  const text = await response.text();
  expect(text).toMatch(/data: {"error":{"message":"the gateway is shutting down[^\n]*"code":"503"}}\n\n$/);
  expect((await gateway.exited).code).toBe(0);
  await gateway.stop();
});

it.each(['before the first chunk', 'in the middle of a stream'])(
  'a client that leaves %s closes the upstream connection within 250 ms and leaves one abandoned row',
  async (moment) => {
    const asked = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<number>();
    const hanging = await startUpstream({
      name: 'an upstream that never ends',
      intercept: (_request, response) => {
        response.on('close', () => closed.resolve(performance.now()));
        if (moment !== 'before the first chunk') {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write('data: {"choices":[{"index":0,"delta":{"content":"so"}}]}\n\n');
        }
        asked.resolve();
        return true;
      },
    });
    const gateway = await startTestGateway({ config: configFor([hanging.url]), databaseUrl: database.url });
    const abort = new AbortController();
    const response = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'x-litellm-call-id': moment },
      body: JSON.stringify({ ...hello, stream: true }),
      signal: abort.signal,
    }).then(
      (answer) => answer.body?.getReader().read(),
      () => undefined,
    );
    await asked.promise;
    if (moment !== 'before the first chunk') await response;
    const leftAt = performance.now();
    abort.abort();
    expect((await closed.promise) - leftAt).toBeLessThan(within(250));
    const endings = () => query(database.url, `SELECT ending FROM spend_entry WHERE call_id = '${moment}'`);
    await until(async () => (await endings()).length > 0);
    expect(await endings()).toEqual([{ ending: 'abandoned' }]);
    await gateway.stop();
    await hanging.close();
  },
);

const countRows = async (): Promise<number> =>
  Number((await query(database.url, 'SELECT count(*)::int AS n FROM spend_entry'))[0]?.['n']);

async function accepts(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    // Refused: what the test waits for.
    return false;
  }
}
