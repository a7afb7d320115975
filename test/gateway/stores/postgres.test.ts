import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { hashKey, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import { IdentityStore } from '../../../gateway/stores/identity.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { faultProxy } from '../../support/fault-proxy.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
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
