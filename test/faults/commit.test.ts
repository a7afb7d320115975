import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { type FaultProxy, faultProxy } from '../support/fault-proxy.ts';
import { configFor, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';

let database: TestDatabase;
let proxy: FaultProxy;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  const url = new URL(database.url);
  proxy = await faultProxy({ port: Number(url.port) });
  url.port = String(proxy.port);
  gateway = await startTestGateway({ config: configFor(['http://127.0.0.1:9']), databaseUrl: url.href });
  // Runs at the commit, so that the moment can be met.
  await query(
    database.url,
    `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON api_key DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW WHEN (NEW.key_alias = 'slow to commit') EXECUTE FUNCTION linger()`,
  );
});
afterAll(async () => {
  await gateway.stop();
  await proxy.close();
  await database.drop();
});

it('a write whose connection breaks between its commit and the answer is called unknown, and its repetition gets the answer of the first', async () => {
  const headers = { 'idempotency-key': 'once' };
  const body = { key_alias: 'slow to commit' };
  const first = gateway.post('/key/generate', body, headers);
  const committing = async () =>
    (
      await query(
        database.url,
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = 'COMMIT'`,
      )
    ).length > 0;
  await until(committing);
  await proxy.set({ freeze: 'down' });
  const made = async () =>
    (await query(database.url, `SELECT key_hash FROM api_key WHERE key_alias = 'slow to commit'`)).length;
  await until(async () => (await made()) === 1);
  proxy.cut();
  await proxy.heal();
  const unknown = await first;
  expect(unknown.status).toBe(503);
  expect(Number(unknown.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await unknown.json()).toMatchObject({ error: { type: 'write_outcome_unknown' } });

  const again = await until(async () => (await gateway.request('/health/ready')).ok).then(() =>
    gateway.post('/key/generate', body, headers),
  );
  expect(again.status).toBe(200);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await made()).toBe(1);
  const { key } = z.object({ key: z.string() }).parse(await again.json());
  const answer = await gateway.request('/v1/models', { headers: { authorization: `Bearer ${key}` } });
  expect(answer.status).toBe(200);
}, 30_000);
