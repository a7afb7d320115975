import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { hashKey, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import { IdentityStore } from '../../../gateway/stores/identity.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { faultProxy } from '../../support/fault-proxy.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { within } from '../../support/quiet-machine.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

/** A pool whose way to the server can be frozen: its connections stay open, and nobody answers. */
async function throughProxy(): Promise<{ pool: Pool; proxy: Awaited<ReturnType<typeof faultProxy>> }> {
  const url = new URL(database.url);
  const proxy = await faultProxy({ port: Number(url.port) });
  url.port = String(proxy.port);
  const pool = openPool({ url: url.href, poolSize: 4, onError: () => undefined });
  onTestFinished(async () => {
    await proxy.heal();
    await pool.end();
  });
  return { pool, proxy };
}

const timed = async (work: () => Promise<unknown>): Promise<{ ms: number; error: unknown }> => {
  const startedAt = performance.now();
  try {
    await work();
    return { ms: performance.now() - startedAt, error: undefined };
  } catch (error) {
    return { ms: performance.now() - startedAt, error };
  }
};

describe('a PostgreSQL that hangs with its sockets open', () => {
  it('costs the first lookups of unknown keys a few seconds, the next ones nothing, and works again without a restart', async () => {
    const { pool, proxy } = await throughProxy();
    const store = new IdentityStore(pool);
    expect(await store.find(hashKey('sk-nobody-0'))).toBeUndefined();
    await proxy.set({ freeze: 'both' });
    let serial = 0;
    const lookup = () => timed(async () => store.find(hashKey(`sk-nobody-${++serial}`)));
    const first = await Promise.all(Array.from({ length: 50 }, lookup));
    expect(Math.max(...first.map(({ ms }) => ms))).toBeLessThan(5_000);
    const next = await Promise.all(Array.from({ length: 50 }, lookup));
    // One of them may have been the probe.
    expect(next.filter(({ ms }) => ms > within(50)).length).toBeLessThanOrEqual(1);
    for (const { error } of [...first, ...next]) expect(error).toBeInstanceOf(StoreUnavailable);
    await proxy.heal();
    await until(async () => (await lookup()).error === undefined);
  });

  it('a connection that is accepted and never greeted is given up after two seconds', async () => {
    const { pool, proxy } = await throughProxy();
    await proxy.set({ accept: 'silent' });
    const { ms, error } = await timed(() => pool.query('SELECT 1'));
    expect(error).toBeInstanceOf(Error);
    expect(ms).toBeLessThan(3_000);
    await proxy.heal();
    expect((await pool.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

/** Timeline, epoch, and whether the server behind the connection is believed. */
type Sight = readonly [timeline: number, epoch: number, believed: boolean];

describe('which server is believed, by what connections have shown', () => {
  const sights: readonly (readonly [string, readonly Sight[]])[] = [
    [
      'a standby that was promoted, and no more the server before it',
      [
        [1, 5, true],
        [2, 5, true],
        [1, 5, false],
        [1, 5, false],
        [2, 5, true],
      ],
    ],
    [
      'a restored database in a cluster that counts anew, from the second connection on, and no more the one before it',
      [
        [3, 5, true],
        [1, 6, false],
        [1, 6, true],
        [3, 5, false],
        [3, 5, false],
        [1, 6, true],
        [2, 6, true],
      ],
    ],
    [
      'not an old server whose epoch its successor has lost, nor one that is seen between sights of the successor',
      [
        [1, 6, true],
        [2, 5, true],
        [1, 6, false],
        [1, 6, false],
        [1, 7, false],
        [2, 5, true],
        [1, 7, false],
      ],
    ],
  ];

  it.each(sights)('%s', async (_, seen) => {
    const pool = openPool({ url: database.url, poolSize: 1, onError: () => undefined });
    onTestFinished(() => pool.end());
    expect(seen.map(([timeline, epoch]) => pool.isCurrent(timeline, epoch))).toEqual(seen.map(([, , is]) => is));
  });

  it('a server of an older timeline whose epoch is no newer is believed a minute after the other one was seen last', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const pool = openPool({ url: database.url, poolSize: 1, onError: () => undefined });
    onTestFinished(() => pool.end());
    expect(pool.isCurrent(2, 5)).toBe(true);
    vi.advanceTimersByTime(59_000);
    expect(pool.isCurrent(1, 5)).toBe(false);
    vi.advanceTimersByTime(2_000);
    expect(pool.isCurrent(1, 5)).toBe(true);
  });
});

it('the polls of a process go on over a restored database at their second look, though its cluster counts timelines anew', async () => {
  const restored = await migratedDatabase();
  onTestFinished(() => restored.drop());
  const pool = openPool({ url: restored.url, poolSize: 2, onError: () => undefined });
  onTestFinished(() => pool.end());
  const store = new IdentityStore(pool);
  await store.poll();
  // Of the database before it.
  expect(pool.isCurrent(1_000, 1)).toBe(true);
  await expect(store.poll()).rejects.toThrow(StoreUnavailable);
  await query(restored.url, 'UPDATE region_epoch SET epoch = 2');
  await expect(store.poll()).rejects.toThrow(StoreUnavailable);
  await expect(store.poll()).resolves.toBe(false);
});
