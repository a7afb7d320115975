import { afterAll, beforeAll, expect, it } from 'vitest';
import { configFor, migratedDatabase, startTestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

it('a migration that breaks with older gateways is said by those that run, and keeps those that would start from it', async () => {
  const options = { config: configFor(['http://127.0.0.1:9']), databaseUrl: database.url };
  const running = await startTestGateway(options);
  const reasons = async (): Promise<string> => (await running.request('/health/ready')).text();
  expect(await reasons()).toContain('"reasons":[]');
  await query(database.url, `UPDATE schema_requirement SET generation = 7, because = 'keys moved to another table'`);
  await until(async () => (await reasons()).includes('needs gateways of schema generation 7'));
  // It goes on with what it knows: taking it away at once would be an outage.
  expect((await running.request('/health/ready')).status).toBe(200);
  await until(async () => (await running.output()).includes('this gateway is too old for the database'));

  const late = await startTestGateway({ ...options, expectFailure: true });
  expect((await late.exited).code).toBe(1);
  expect(await late.output()).toMatch(
    /needs gateways of schema generation 7 or newer, and this one is of generation 1 \(keys moved to another table\)/,
  );
  await late.stop();
  await running.stop();
});
