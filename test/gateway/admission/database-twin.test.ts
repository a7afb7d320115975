import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LogClosed } from '../../../gateway/domain/slices.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { PostgresBudgetSlices } from '../../../gateway/stores/slices.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { type PgBouncer, startPgBouncer } from '../../support/pgbouncer.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { DatabaseTwin, type TwinEvent } from './database-twin.ts';
import { Random } from './simulation/random.ts';

let database: TestDatabase;
let bouncer: PgBouncer;
beforeAll(async () => {
  database = await migratedDatabase();
  bouncer = await startPgBouncer(database.url);
});
afterAll(async () => {
  await bouncer.stop();
  await database.drop();
});

const messagesEach = 40;

describe.each([
  ['directly', () => database.url, 8],
  ['through PgBouncer in transaction mode', () => bouncer.url, 4],
])('PostgreSQL, asked %s,', (_way, url, sequences) => {
  it('counts as the twin of the simulation does, in every counter, after any sequence of messages', async () => {
    const pool = openPool({ url: url(), poolSize: 3, onError: () => undefined });
    try {
      for (let seed = 1; seed <= sequences; seed++) await compare(pool, seed);
    } finally {
      await pool.end();
    }
  });
});

/** Late, repeated and reordered messages of three processes about four accounts. */
async function compare(pool: Pool, seed: number): Promise<void> {
  const random = new Random(seed);
  const twin = new DatabaseTwin();
  const slices = new PostgresBudgetSlices(pool);
  const names = ['a:key', 'm:user', 't:team', 'z:global'].map((name) => `${name}:${crypto.randomUUID()}`);
  const logs = Array.from({ length: 3 }, () => crypto.randomUUID());
  // Processes of the sequences before are not among the living.
  await pool.query(`UPDATE spend_log SET alive_at = '-infinity'`);
  for (const name of names) {
    const max = random.chance(0.2) ? undefined : random.integer(3_000);
    twin.putAccount(name, max);
    const length = random.chance(0.5) ? '1 day' : '1 month';
    await pool.query(`SELECT put_account($1, $2, $3::interval, now() + interval '1 hour')`, [
      name,
      max ?? null,
      length,
    ]);
  }
  let events = 0;
  const sent = new Map<string, TwinEvent[]>(logs.map((log) => [log, []]));
  const totals = new Map<string, { granted: number; returned: number }>();
  for (let step = 0; step < messagesEach; step++) {
    const log = random.pick(logs);
    const dice = random.next();
    if (dice < 0.5) {
      const claims = names
        .filter(() => random.chance(0.7))
        .map((account) => {
          // What this process knows, or knew once.
          const known = totals.get(`${log} ${account}`) ?? { granted: 0, returned: 0 };
          const granted = random.chance(0.2) ? random.integer(known.granted + 1) : known.granted;
          const returned = Math.min(granted, known.returned + (random.chance(0.3) ? random.integer(granted + 1) : 0));
          known.returned = Math.max(known.returned, returned);
          const want = random.chance(0.3) ? 0 : granted + random.integer(200);
          return { account, granted, returned, want, ticket: 1 + random.integer(20), slack: random.integer(300) };
        });
      const expected = twin.grant(log, claims);
      const replies = await grantOrClosed(slices, log, claims);
      if (expected === 'closed' || replies === 'closed') expect(replies).toBe(expected);
      else {
        expect(replies.map(({ windowMs: _windowMs, ...reply }) => reply)).toEqual(expected);
        for (const { account, granted } of replies) {
          const known = totals.get(`${log} ${account}`) ?? { granted: 0, returned: 0 };
          totals.set(`${log} ${account}`, { granted, returned: known.returned });
        }
      }
    } else if (dice < 0.85) {
      const all = sent.get(log) ?? [];
      if (random.chance(0.8))
        all.push({ id: events++, cost: random.integer(150), accounts: names.filter(() => random.chance(0.6)) });
      // Also a repetition, a part of what was sent, or a gap.
      const first = 1 + random.integer(all.length + 2);
      const batch = all.slice(first - 1, first + random.integer(5));
      if (batch.length === 0) continue;
      expect(await ship(pool, log, first, batch, seed)).toBe(twin.ship(log, first, batch));
    } else if (dice < 0.93) {
      const name = random.pick(names);
      const account = twin.accounts.get(name);
      if (account !== undefined) account.windowOver = true;
      await pool.query(`UPDATE account SET window_end = clock_timestamp() - interval '1 second' WHERE id = $1`, [name]);
    } else if (dice < 0.96) {
      const name = random.pick(names);
      const max = random.integer(3_000);
      twin.putAccount(name, max);
      await pool.query(`SELECT put_account($1, $2, a.window_length, a.window_end) FROM account a WHERE id = $1`, [
        name,
        max,
      ]);
    } else {
      const last = (sent.get(log) ?? []).length - (random.chance(0.5) ? 0 : 1);
      const { rows } = await pool.query<{ closed: boolean }>('SELECT close_log($1, $2) AS closed', [log, last]);
      expect(rows[0]?.closed).toBe(twin.close(log, last));
    }
    expect(await countersIn(pool, names), `seed ${seed}, step ${step}`).toEqual(countersOf(twin, names));
  }
}

async function grantOrClosed(slices: PostgresBudgetSlices, ...call: Parameters<PostgresBudgetSlices['grant']>) {
  try {
    return await slices.grant(...call);
  } catch (error) {
    if (error instanceof LogClosed) return 'closed' as const;
    throw error;
  }
}

async function ship(
  pool: Pool,
  log: string,
  first: number,
  batch: readonly TwinEvent[],
  seed: number,
): Promise<number> {
  const events = batch.map(({ id, cost, accounts }) => ({
    day: '2026-01-01',
    id: `${log.slice(0, 24)}${String(id).padStart(12, '0')}`,
    at: 1_767_225_600_000 + id,
    cost,
    reserved: cost,
    ending: 'finished',
    accounts,
    key: `key ${seed}`,
  }));
  const { rows } = await pool.query<{ applied: bigint }>('SELECT ship_events($1, $2, $3) AS applied', [
    log,
    first,
    JSON.stringify(events),
  ]);
  return Number(rows[0]?.applied);
}

async function countersIn(pool: Pool, names: readonly string[]): Promise<unknown> {
  const accounts = await pool.query(
    `SELECT id, CASE WHEN window_end <= clock_timestamp() THEN 'over' ELSE spent_micros::text END AS spent,
            leased_micros::int AS leased, lifetime_micros::int AS lifetime
       FROM account WHERE id = ANY($1) ORDER BY id`,
    [names],
  );
  const slices = await pool.query(
    `SELECT account_id AS account, granted_micros::int AS granted, returned_micros::int AS returned,
            spent_micros::int AS spent
       FROM slice WHERE account_id = ANY($1) ORDER BY 1, 2, 3, 4`,
    [names],
  );
  return { accounts: accounts.rows, slices: slices.rows };
}

function countersOf(twin: DatabaseTwin, names: readonly string[]): unknown {
  const accounts = names.toSorted().flatMap((id) => {
    const account = twin.accounts.get(id);
    if (account === undefined) return [];
    const { leased, lifetime, spent, windowOver } = account;
    return [{ id, spent: windowOver ? 'over' : String(spent), leased, lifetime }];
  });
  const slices = [...twin.logs.values()]
    .flatMap((log) => [...log.slices].map(([account, slice]) => ({ account, ...slice })))
    .toSorted(
      (a, b) =>
        compareText(a.account, b.account) || a.granted - b.granted || a.returned - b.returned || a.spent - b.spent,
    );
  return { accounts, slices };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
