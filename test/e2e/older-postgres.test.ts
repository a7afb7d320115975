/**
 * The oldest PostgreSQL that is supported, where the system has one (Debian: `apt-get install postgresql-15`), or the one
 * that `HOLDFAST_TEST_POSTGRES` names: all migrations, and the money, through real gateways.
 */
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../runbooks/lab/postgres.ts';
import { configFor, hello, startTestGateway } from '../support/gateway.ts';
import { bookkeepingUpstream } from '../support/ledgers.ts';
import { wantedBinaries, wantedMajor } from '../support/postgres-majors.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const [initdb] = globSync('/usr/lib/postgresql/{15,16,17}/bin/initdb').toSorted();
const binaries = (await wantedBinaries()) ?? (initdb === undefined ? undefined : dirname(initdb));
const major = wantedMajor() ?? /postgresql\/(\d+)/.exec(initdb ?? '')?.[1] ?? '15 to 17';

describe.skipIf(binaries === undefined)(`PostgreSQL ${major}`, () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres({
      dataDirectory: join(await temporaryDirectory(), 'postgres'),
      port: await freePort(),
      ...(binaries === undefined ? {} : { binaries }),
      settings: { fsync: 'off' },
    });
  });
  afterAll(() => postgres.stop('immediate'));

  it('takes all migrations, keeps a budget exactly over two gateways, and books what was spent once', async () => {
    expect((await migrate(postgres.url())).length).toBeGreaterThan(3);
    expect(await migrate(postgres.url())).toEqual([]);
    const upstream = await bookkeepingUpstream({ name: 'the upstream', chunkEveryMs: 0 });
    const config = configFor([upstream.url]).replace(
      'api_key: sk-upstream-0',
      'api_key: sk-upstream-0, input_cost_per_token: 0, output_cost_per_token: 0.00001',
    );
    const start = () => startTestGateway({ config, databaseUrl: postgres.url() });
    const gateways = await Promise.all([start(), start()]);
    const [first, second] = gateways;
    if (first === undefined || second === undefined) throw new Error('no gateways');
    const made = await first.post('/key/generate', { max_budget: 0.01, budget_duration: '30d', key_alias: 'bound' });
    const { key } = z.object({ key: z.string() }).parse(await made.json());
    const ask = async (index: number): Promise<number> => {
      const gateway = gateways[index % 2] ?? first;
      const answer = await gateway.post(
        '/v1/chat/completions',
        { ...hello, max_tokens: 100 },
        { authorization: `Bearer ${key}` },
      );
      await answer.text();
      return answer.status;
    };
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index)));
    const passed = statuses.filter((status) => status === 200).length;
    expect(statuses.every((status) => status === 200 || status === 429)).toBe(true);
    // Ten reservations of 0.001 at once; what they did not use lets some more through.
    expect(passed).toBeGreaterThanOrEqual(10);
    expect(passed).toBe(upstream.requests.length);
    await until(
      async () => (await query(postgres.url(), 'SELECT count(*)::int AS n FROM spend_entry'))[0]?.['n'] === passed,
    );
    const [sums] = await query(
      postgres.url(),
      `SELECT (SELECT sum(cost_micros)::bigint FROM spend_entry) AS ledger,
              (SELECT sum(cost_micros)::bigint FROM spend_daily) AS days,
              (SELECT lifetime_micros FROM account WHERE id LIKE 'a:key:%') AS account,
              (SELECT count(*)::int FROM account WHERE spent_micros + leased_micros > max_micros) AS over`,
    );
    expect(sums).toMatchObject({ days: sums?.['ledger'], account: sums?.['ledger'], over: 0 });
    expect((await second.post('/key/delete', { key_aliases: ['bound'] })).status).toBe(200);
    expect(await ask(1)).toBe(401);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await upstream.close();
  }, 60_000);
});
