import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { accountId } from '../../gateway/domain/entitlements.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { hello, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { previousVersion } from '../support/previous-version.ts';
import { query } from '../support/query.ts';

const previous = await previousVersion();
let database: TestDatabase;
let upstream: Upstream;
beforeAll(async () => {
  [database, upstream] = await Promise.all([migratedDatabase(), startUpstream({ name: 'the upstream' })]);
});
afterAll(async () => {
  await Promise.all([database.drop(), upstream.close()]);
});

const config = () => `
model_list:
  - model_name: chat
    litellm_params:
      model: openai/upstream-model
      api_base: "${upstream.url}"
      api_key: sk-upstream
      input_cost_per_token: 0.000013
      output_cost_per_token: 0.00007
`;
const made = z.object({ key: z.string(), token: z.string() });

it.skipIf(previous === undefined)(
  'a gateway from before the newest migration works beside a new one: keys of either, budgets, spend to the last millionth (skipped in a clone without its history)',
  async () => {
    const options = { config: config(), databaseUrl: database.url };
    const gateways = await Promise.all([
      startTestGateway({ ...options, ...(previous === undefined ? {} : { program: previous }) }),
      startTestGateway(options),
    ]);
    const spent = new Map<string, number>();
    for (const maker of gateways) {
      const key = made.parse(await (await maker.post('/key/generate', { max_budget: 1 })).json());
      for (const gateway of gateways) expect(await ask(gateway, key.key), await gateway.output()).toBe(200);
      spent.set(key.token, gateways.length);
    }
    const exits = await Promise.all(gateways.map((gateway) => gateway.stop()));
    expect(exits.map(({ code }) => code)).toEqual([0, 0]);
    for (const [keyHash, requests] of spent) {
      const [booked] = await query(
        database.url,
        `SELECT count(*)::int AS requests, bool_and(cost_micros > 0) AS priced,
                sum(cost_micros) = (SELECT spent_micros FROM account WHERE id = '${accountId('key', keyHash)}') AS counted
           FROM spend_entry WHERE key_hash = '${keyHash}'`,
      );
      expect(booked).toEqual({ requests, priced: true, counted: true });
    }
  },
);

async function ask(gateway: TestGateway, key: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}` };
  return (await gateway.post('/v1/chat/completions', hello, headers)).status;
}
