import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashKey, NotWriter, newKey, OutcomeUnknown } from '../../../gateway/domain/keys.ts';
import { regionRules } from '../../../gateway/region/rules.ts';
import { ControlPlane } from '../../../gateway/stores/control-plane.ts';
import { IdentityStore } from '../../../gateway/stores/identity.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import type { WriteRight } from '../../../gateway/stores/write-transaction.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { keyRow, testActor } from '../../support/identity.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await migratedDatabase();
  pool = openPool({ url: database.url, poolSize: 2, onError: () => undefined });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(() => row({ epoch: 7, writer: 'here', leaseMs: 60_000 }));

const row = (is: { epoch: number; writer: string; leaseMs: number }): Promise<unknown> =>
  query(
    database.url,
    `UPDATE region_epoch SET epoch = ${is.epoch}, writer_region = '${is.writer}', state = 'open';
     UPDATE region_lease SET epoch = ${is.epoch}, region = '${is.writer}',
       until = clock_timestamp() + interval '${is.leaseMs} ms'`,
  );

interface Writing {
  /** Epochs that the process believes in, one after the other each time it looks again. */
  readonly believes?: readonly number[];
  readonly now?: () => number;
  readonly rules?: Partial<WriteRight['rules']>;
}

/** @returns the hash of a key that was made, or the error. */
async function make({ believes = [7], now, rules = {} }: Writing): Promise<{ hash: string; error: unknown }> {
  let looks = 0;
  const right: WriteRight = {
    region: 'here',
    rules: { ...regionRules, ...rules },
    epoch: () => believes[Math.min(looks, believes.length - 1)],
    ttlSeconds: () => 15,
    refused: async () => void looks++,
  };
  const plane = new ControlPlane(pool, new IdentityStore(pool), right, now);
  const secret = newKey();
  const done = plane.write(testActor, async (writer) => {
    await writer.insert('key', keyRow(secret));
    return {};
  });
  return { hash: hashKey(secret), error: await done.then(() => undefined).catch((error: unknown) => error) };
}

const exists = async (hash: string): Promise<boolean> =>
  (await query(database.url, `SELECT 1 FROM api_key WHERE key_hash = '${hash}'`)).length === 1;

describe('a change of the control plane', () => {
  it('passes in the epoch that the process believes in, and with a belief that is out of date after a second look', async () => {
    expect(await make({})).toMatchObject({ error: undefined });
    expect(await make({ believes: [6, 7] })).toMatchObject({ error: undefined });
  });

  it.each([
    ['of an epoch that is over', { epoch: 8, writer: 'here', leaseMs: 60_000 }, 'another-epoch'],
    ['where another region writes', { epoch: 7, writer: 'there', leaseMs: 60_000 }, 'another-epoch'],
    ['with less of the lease than it may need', { epoch: 7, writer: 'here', leaseMs: 4_000 }, 'lease-over'],
  ])('%s is refused as not the writer, and nothing is changed', async (_, is, reason) => {
    await row(is);
    const { error, hash } = await make({});
    expect(error).toBeInstanceOf(NotWriter);
    expect(error).toMatchObject({ reason });
    expect(await exists(hash)).toBe(false);
  });

  it('that is committed after the right to write has ended is not acknowledged', async () => {
    // Asked twice: before the database is, and after the commit.
    const clock = [0, 60_001];
    const late = await make({ now: () => clock.shift() ?? 0 });
    expect(late.error).toBeInstanceOf(OutcomeUnknown);
    expect(await exists(late.hash)).toBe(true);
    const intime = [0, 59_000];
    expect(await make({ now: () => intime.shift() ?? 0 })).toMatchObject({ error: undefined });
  });

  it('made past the gateways is refused by every table of identity once a region is named, and free before', async () => {
    const tables = ['api_key', 'budget', 'organization', 'gateway_user', 'organization_member', 'team', 'team_member'];
    for (const table of [...tables, 'end_user', 'model_definition']) {
      for (const statement of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`]) {
        await expect(query(database.url, statement), statement).rejects.toMatchObject({ code: 'HF003' });
      }
    }
    await row({ epoch: 7, writer: 'local', leaseMs: 60_000 });
    await query(database.url, 'DELETE FROM end_user');
  });
});

describe('the first region of several', () => {
  it('is named once, takes no write before it has renewed the claim, and is not renamed', async () => {
    await row({ epoch: 1, writer: 'local', leaseMs: 60_000 });
    const name = (region: string) => query(database.url, `SELECT name_first_region('${region}') AS done`);
    expect(await name('here')).toEqual([{ done: true }]);
    expect(await name('here')).toEqual([{ done: true }]);
    expect(await name('there')).toEqual([{ done: false }]);
    expect((await make({ believes: [1] })).error).toMatchObject({ reason: 'lease-over' });
  });
});
