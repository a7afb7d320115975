import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { hashKey, masked, type NewKey, newKey, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import { KeyStore } from '../../../gateway/stores/keys.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../../runbooks/lab/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
const pools: Pool[] = [];

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await database.drop();
});

/** As another process has it: a memory and connections of its own, and a count of its questions. */
function openStore(url = database.url): { store: KeyStore; asked: () => number } {
  const pool = openPool({ url, poolSize: 2, onError: () => undefined });
  pools.push(pool);
  let asked = 0;
  pool.on('acquire', () => asked++);
  return { store: new KeyStore(pool), asked: () => asked };
}

const made = (key: string, over: Partial<NewKey> = {}): NewKey => ({
  keyHash: hashKey(key),
  keyName: masked(key),
  role: 'caller',
  models: [],
  createdBy: 'test',
  ...over,
});

describe('a key in the database', () => {
  it('is nowhere but in its hash: no column of any row holds it', async () => {
    const { store } = openStore();
    const key = newKey();
    await store.insert(made(key, { keyAlias: 'hidden', metadata: { team: 'a' } }));
    const rows = await query(database.url, `SELECT k::text AS row FROM api_key k WHERE key_alias = 'hidden'`);
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).toContain(hashKey(key));
    expect(JSON.stringify(rows)).not.toContain(key.slice(0, -4));
  });

  it('is found by another process with all that was said about it', async () => {
    const key = newKey();
    const expiresAtMs = Date.UTC(2031, 4, 6, 7, 8, 9, 123);
    await openStore().store.insert(made(key, { role: 'admin', models: ['a', 'b/*'], keyAlias: 'full', expiresAtMs }));
    expect(await openStore().store.find(hashKey(key))).toEqual({
      keyHash: hashKey(key),
      keyAlias: 'full',
      role: 'admin',
      models: ['a', 'b/*'],
      blocked: false,
      expiresAtMs,
    });
  });

  it('is made once: the same key or the same alias is refused, and the first one stays', async () => {
    const { store } = openStore();
    const key = newKey();
    expect(await store.insert(made(key, { keyAlias: 'once' }))).toBe(true);
    expect(await store.insert(made(key))).toBe(false);
    expect(await store.insert(made(newKey(), { keyAlias: 'once' }))).toBe(false);
    expect(await openStore().store.find(hashKey(key))).toMatchObject({ keyAlias: 'once' });
  });

  it('frees its alias when it is deleted, and is deleted once', async () => {
    const { store } = openStore();
    const key = newKey();
    await store.insert(made(key, { keyAlias: 'reused' }));
    expect(await store.remove([hashKey(key), hashKey('unknown')])).toEqual([hashKey(key)]);
    expect(await store.remove([hashKey(key)])).toEqual([]);
    expect(await store.find(hashKey(key))).toBeUndefined();
    expect(await store.insert(made(newKey(), { keyAlias: 'reused' }))).toBe(true);
  });

  it('of an administrator is noticed, until it is deleted', async () => {
    const own = await migratedDatabase();
    const pool = openPool({ url: own.url, poolSize: 1, onError: () => undefined });
    const store = new KeyStore(pool);
    expect(await store.hasAdmin()).toBe(false);
    const key = newKey();
    await store.insert(made(key, { role: 'admin' }));
    expect(await store.hasAdmin()).toBe(true);
    await store.remove([hashKey(key)]);
    expect(await store.hasAdmin()).toBe(false);
    await pool.end();
    await own.drop();
  });
});

describe('how often the database is asked', () => {
  it('once for a hundred requests that come together with a key that is new here', async () => {
    const key = newKey();
    await openStore().store.insert(made(key));
    const { store, asked } = openStore();
    const found = await Promise.all(Array.from({ length: 100 }, async () => store.find(hashKey(key))));
    expect(new Set(found.map((record) => record?.keyHash))).toEqual(new Set([hashKey(key)]));
    expect(asked()).toBe(1);
    expect(store.find(hashKey(key))).not.toBeInstanceOf(Promise);
    expect(asked()).toBe(1);
  });

  it('once for a hundred requests with a key that does not exist, and not again for a moment', async () => {
    const { store, asked } = openStore();
    const unknown = hashKey(newKey());
    await Promise.all(Array.from({ length: 100 }, async () => store.find(unknown)));
    expect(store.find(unknown)).toBeUndefined();
    expect(asked()).toBe(1);
  });

  it('by a flood of invented keys with four questions at a time at most, so that connections are left for others', async () => {
    const pool = openPool({ url: database.url, poolSize: 10, onError: () => undefined });
    pools.push(pool);
    let busiest = 0;
    pool.on('acquire', () => {
      busiest = Math.max(busiest, pool.totalCount - pool.idleCount);
    });
    const store = new KeyStore(pool);
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, async () => store.find(hashKey(newKey()))));
    expect(busiest).toBeLessThanOrEqual(4);
    const turnedAway = outcomes.filter((outcome) => outcome.status === 'rejected');
    // Four inside and five hundred in line; the others are told to come again, and not that their key is wrong.
    expect(turnedAway).toHaveLength(496);
    expect(turnedAway.every((outcome) => outcome.reason instanceof StoreUnavailable)).toBe(true);
  });

  it('not at all for keys that were loaded at the start', async () => {
    const key = newKey();
    await openStore().store.insert(made(key));
    const { store, asked } = openStore();
    await store.preload();
    expect(store.find(hashKey(key))).toMatchObject({ keyHash: hashKey(key) });
    expect(asked()).toBe(1);
  });
});

describe('a poll sees what other processes did', () => {
  it.each([
    ['deleted', (keyHash: string) => openStore().store.remove([keyHash]), undefined],
    [
      'blocked',
      (keyHash: string) => query(database.url, `UPDATE api_key SET blocked = true WHERE key_hash = '${keyHash}'`),
      { blocked: true },
    ],
    [
      'given an end',
      (keyHash: string) =>
        query(database.url, `UPDATE api_key SET expires_at = '2030-01-01Z' WHERE key_hash = '${keyHash}'`),
      { expiresAtMs: Date.UTC(2030, 0, 1) },
    ],
  ])('a key that was %s', async (_case, act, expected) => {
    const { store } = openStore();
    const key = newKey();
    await store.insert(made(key));
    await store.poll();
    await act(hashKey(key));
    expect(store.find(hashKey(key))).toMatchObject({ blocked: false });
    expect(await store.poll()).toBe(true);
    const after = await store.find(hashKey(key));
    if (expected === undefined) expect(after).toBeUndefined();
    else expect(after).toMatchObject(expected);
  });

  it('a new key that was asked for in vain a moment ago', async () => {
    const { store } = openStore();
    const key = newKey();
    expect(await store.find(hashKey(key))).toBeUndefined();
    await openStore().store.insert(made(key));
    await store.poll();
    expect(store.find(hashKey(key))).toMatchObject({ keyHash: hashKey(key) });
  });

  it('says whether anything changed, also when nothing ever was there', async () => {
    const own = await migratedDatabase();
    const pool = openPool({ url: own.url, poolSize: 1, onError: () => undefined });
    const store = new KeyStore(pool);
    expect(await store.poll()).toBe(false);
    await store.insert(made(newKey()));
    await store.poll();
    expect(await store.poll()).toBe(false);
    await pool.end();
    await own.drop();
  });

  it('reads a change that was committed late, but no change for ever', async () => {
    const { store } = openStore();
    await store.poll();
    const late = hashKey(newKey());
    const old = hashKey(newKey());
    const insert = (keyHash: string, seconds: number) =>
      query(
        database.url,
        `INSERT INTO api_key (key_hash, key_name, updated_at)
         VALUES ('${keyHash}', 'x', clock_timestamp() - interval '${seconds} seconds')`,
      );
    await insert(late, 5);
    await insert(old, 60);
    await store.poll();
    expect(store.known().map(({ keyHash }) => keyHash)).toContain(late);
    expect(store.known().map(({ keyHash }) => keyHash)).not.toContain(old);
  });
});

describe('a database that cannot be asked', () => {
  it('keeps what is known, and says StoreUnavailable for the rest, at once when nobody listens', async () => {
    const { store } = openStore(`postgresql://nobody@127.0.0.1:${await freePort()}/none`);
    const record = { keyHash: 'a'.repeat(64), keyAlias: undefined, role: 'caller', models: [] } as const;
    store.restore([{ ...record, blocked: false, expiresAtMs: undefined }]);
    expect(store.find(record.keyHash)).toMatchObject({ keyHash: record.keyHash });
    const at = performance.now();
    await expect(store.find(hashKey('unknown'))).rejects.toThrow(StoreUnavailable);
    await expect(store.poll()).rejects.toThrow(StoreUnavailable);
    await expect(store.insert(made(newKey()))).rejects.toThrow(StoreUnavailable);
    expect(performance.now() - at).toBeLessThan(1_000);
  });

  it('a replica takes no changes: StoreUnavailable, and not a fault of the gateway', async () => {
    const own = await migratedDatabase();
    await query(own.url, `ALTER DATABASE ${new URL(own.url).pathname.slice(1)} SET default_transaction_read_only = on`);
    const pool = openPool({ url: own.url, poolSize: 1, onError: () => undefined });
    await expect(new KeyStore(pool).insert(made(newKey()))).rejects.toThrow(StoreUnavailable);
    expect(await new KeyStore(pool).find(hashKey('unknown'))).toBeUndefined();
    await pool.end();
    await own.drop();
  });

  it('a server that is frozen: StoreUnavailable within its time-outs, and answers again when it thaws', async () => {
    const server = await startPostgres({
      dataDirectory: join(directory, 'frozen'),
      port: await freePort(),
      settings: { fsync: 'off' },
    });
    onTestFinished(() => server.stop('immediate'));
    await query(server.url(), 'CREATE TABLE api_key AS SELECT 1');
    const pool = openPool({ url: server.url(), poolSize: 1, onError: () => undefined });
    const store = new KeyStore(pool);
    // The backend is frozen while its client is connected: nothing but a time-out can tell.
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const backend = rows[0]?.pid ?? 0;
    process.kill(backend, 'SIGSTOP');
    server.kill('SIGSTOP');
    const at = performance.now();
    await expect(store.find(hashKey('x'))).rejects.toThrow(StoreUnavailable);
    expect(performance.now() - at).toBeLessThan(6_000);
    server.kill('SIGCONT');
    process.kill(backend, 'SIGCONT');
    // The table is a wrong one, so an answer shows as another error than StoreUnavailable.
    await expect(store.find(hashKey('x'))).rejects.toThrow('does not exist');
    await pool.end();
  });
});
