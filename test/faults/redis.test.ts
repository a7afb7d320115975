import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../runbooks/lab/redis.ts';
import { type FaultProxy, faultProxy } from '../support/fault-proxy.ts';
import { Clients } from '../support/ledgers.ts';
import { until } from '../support/processes.ts';
import { isQuiet } from '../support/quiet-machine.ts';
import { expectNoWait, openSite, rows, type Site, slowdown, statuses, tell, tookBetween } from './site.ts';

let site: Site;
let redis: RedisServer;
let redisPort: number;
/** Between Redis and the third gateway alone. */
let proxy: FaultProxy;
let key: string;

beforeAll(async () => {
  redisPort = await freePort();
  redis = await startRedis({ port: redisPort });
  proxy = await faultProxy({ port: redisPort });
  site = await openSite({
    environment: (index) => ({ REDIS_URL: index === 2 ? `redis://${proxy.address}` : redis.url }),
  });
  // Limits that nobody reaches, so that every request has something to ask of Redis.
  key = await site.newKey({
    rpm_limit: 100_000,
    tpm_limit: 100_000_000,
    max_parallel_requests: 1_000,
    max_budget: 100,
  });
  await connected([true, true, true]);
});
afterAll(async () => {
  redis.kill('SIGCONT');
  await site.close();
  await proxy.close();
  await redis.stop();
});

const redisStates = (): Promise<boolean[]> =>
  Promise.all(
    site.gateways.map(async (one) =>
      (await (await one.request('/health/ready')).text()).includes('"type":"redis","status":"connected"'),
    ),
  );
const connected = (wanted: readonly boolean[], timeoutMs = 15_000): Promise<void> =>
  until(async () => (await redisStates()).every((one, index) => one === wanted[index]), timeoutMs);

/** @returns who asked, and answers' times before and during the fault. */
async function underLoad(name: string, fault: () => Promise<void>, heal: () => Promise<void>) {
  const clients = new Clients(site.urls, { key, name, pauseMs: 50 });
  const load = clients.run(6);
  const fromMs = performance.now();
  await sleep(2_000);
  const faultMs = performance.now();
  await fault();
  await sleep(Math.max(0, faultMs + 4_000 - performance.now()));
  const healMs = performance.now();
  await heal();
  await sleep(500);
  clients.stop();
  await load;
  const [before, during] = [
    tookBetween(clients.entries, fromMs, faultMs),
    tookBetween(clients.entries, faultMs, healMs),
  ];
  // From the second on, everybody knows.
  const later = tookBetween(clients.entries, faultMs + 1_000, healMs);
  // All of it, and what came once everybody knew.
  return { clients, change: slowdown(before, during), later: slowdown(before, later) };
}

const noOverrun = async (): Promise<void> => {
  const [over] = await rows(
    site,
    'SELECT count(*)::int AS n FROM account WHERE spent_micros + leased_micros > max_micros',
  );
  expect(over?.['n']).toBe(0);
};

it('R1: while Redis is killed and started again, no request fails, and every gateway has it back within a second', async () => {
  let backMs = Number.NaN;
  const { clients, change, later } = await underLoad(
    'r1-',
    async () => {
      redis.kill('SIGKILL');
      await redis.exited;
      await connected([false, false, false]);
    },
    async () => {
      redis = await startRedis({ port: redisPort });
      const startedAtMs = performance.now();
      await connected([true, true, true]);
      backMs = performance.now() - startedAtMs;
    },
  );
  tell('R1', { answered: clients.answered, change, backMs });
  expect(Object.keys(statuses(clients.entries))).toEqual(['200']);
  // A second, and on a busy machine what the processes need to be seen.
  expect(backMs).toBeLessThan(isQuiet ? 1_000 : 1_500);
  expectNoWait(change, 150);
  expectNoWait(later, 5);
  await site.reconciled(clients);
  await noOverrun();
}, 40_000);

it('R2: while Redis hangs, no request fails, the first ones wait a moment for it and later ones nothing', async () => {
  const { clients, change, later } = await underLoad(
    'r2-',
    async () => redis.kill('SIGSTOP'),
    async () => redis.kill('SIGCONT'),
  );
  await connected([true, true, true]);
  tell('R2', { answered: clients.answered, change, later });
  expect(Object.keys(statuses(clients.entries))).toEqual(['200']);
  expectNoWait(change, 150);
  expectNoWait(later, 2);
  await site.reconciled(clients);
  await noOverrun();
}, 40_000);

it('R4: a gateway that is cut off from Redis alone goes on by itself, and the others notice nothing', async () => {
  const { clients, change, later } = await underLoad(
    'r4-',
    async () => {
      await proxy.set({ freeze: 'both', accept: 'silent' });
      await connected([true, true, false]);
    },
    async () => {
      expect(await redisStates()).toEqual([true, true, false]);
      proxy.cut();
      await proxy.heal();
    },
  );
  await connected([true, true, true]);
  tell('R4', { answered: clients.answered, change, later });
  expect(Object.keys(statuses(clients.entries))).toEqual(['200']);
  expectNoWait(change, 150);
  expectNoWait(later, 5);
  await site.reconciled(clients);
  await noOverrun();
}, 40_000);
