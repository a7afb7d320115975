import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashKey } from '../../../gateway/domain/keys.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { openTestStore } from '../../support/identity.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

const count = 12_000;
let database: TestDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
  await query(database.url, `INSERT INTO gateway_user (user_id) SELECT 'u' || n FROM generate_series(1, 100) n`);
  await query(
    database.url,
    `INSERT INTO api_key (key_hash, key_name, user_id)
     SELECT encode(sha256(n::text::bytea), 'hex'), 'sk-...', 'u' || (1 + n % 100) FROM generate_series(1, ${count}) n`,
  );
});
afterAll(() => database.drop());

const keyHash = (n: number): string => hashKey(String(n));

it('more keys than one page are all read at the start, and all changes of one moment by one poll', async () => {
  const { store, pool, asked } = openTestStore(database.url);
  await store.poll();
  const before = asked();
  for (const n of [1, 4_999, 5_000, 5_001, count]) expect(store.find(keyHash(n))).toMatchObject({ refused: undefined });
  expect(asked()).toBe(before);
  expect(store.memory.isWhole('key')).toBe(true);
  // The very same time in every row, more of them than a page has.
  await query(
    database.url,
    `ALTER TABLE api_key DISABLE TRIGGER api_key_touch;
     UPDATE api_key SET blocked = true, revision = revision + 1, updated_at = now()`,
  );
  await store.poll();
  for (const n of [1, 4_999, 5_000, 5_001, count])
    expect(store.find(keyHash(n))).toMatchObject({ refused: 'Key is blocked' });
  await pool.end();
});
