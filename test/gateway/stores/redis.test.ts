import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseRedisUrl, type RedisSettings } from '../../../gateway/domain/redis-settings.ts';
import { RedisCooldownShare } from '../../../gateway/stores/cooldown-share.ts';
import { openRedis, type RedisClient } from '../../../gateway/stores/redis.ts';
import { selfSignedCertificate } from '../../../runbooks/lab/certificate.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../../runbooks/lab/redis.ts';
import { faultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/processes.ts';
import { within } from '../../support/quiet-machine.ts';
import { lazyCluster, lazySentinels, lazyTlsRedis } from '../../support/redis-sets.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
const sentinels = lazySentinels({ password: 'secret' });
const cluster = lazyCluster({ password: 'secret' });
const tlsRedis = lazyTlsRedis('secret');

// They take seconds to find each other; meanwhile the other tests run.
beforeAll(() => void Promise.allSettled([sentinels(), cluster()]));

async function open(where: RedisSettings | string): Promise<{ client: RedisClient; errors: Error[] }> {
  const errors: Error[] = [];
  const client = openRedis(where, 'test', (error) => errors.push(error));
  onTestFinished(() => client.disconnect());
  await client.connect();
  return { client, errors };
}

const failure = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no failure',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

describe('a Redis that hangs with its socket open', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ port: await freePort() });
  });
  afterAll(async () => {
    server.kill('SIGCONT');
    await server.stop();
  });

  it.each(['SIGSTOP', 'a frozen network'])(
    '%s: a command fails in time, the next ones at once, and all is well after',
    async (how) => {
      const proxy = await faultProxy({ port: server.port });
      const { client } = await open(`redis://${proxy.address}`);
      const freeze = async (frozen: boolean): Promise<void> => {
        if (how === 'SIGSTOP') server.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
        else await proxy.set({ freeze: frozen ? 'both' : 'none' });
      };
      await freeze(true);
      const startedAt = performance.now();
      expect(await failure(client.get('x'))).toMatch(/timed out/i);
      expect(performance.now() - startedAt).toBeLessThan(within(700));
      // The connection is given up; from then on nobody waits.
      await until(() => client.status !== 'ready');
      const again = performance.now();
      expect(await failure(client.get('x'))).not.toBe('no failure');
      expect(performance.now() - again).toBeLessThan(within(50));
      await freeze(false);
      await until(() => client.status === 'ready');
      expect(await client.set('x', '1')).toBe('OK');
    },
  );
});

describe('TLS', () => {
  it('is spoken to a server whose certificate is trusted, and refused with any other', async () => {
    const { port, tls } = await tlsRedis();
    const authorityFile = join(directory, 'authority.pem');
    const otherFile = join(directory, 'other.pem');
    await writeFile(authorityFile, tls.certificate);
    await writeFile(otherFile, selfSignedCertificate().certificate);
    const settings = parseRedisUrl(`rediss://:secret@127.0.0.1:${port}`);
    if (settings === undefined) throw new Error('no settings');
    const withAuthority = (file: string | undefined, verify = true): RedisSettings => ({
      ...settings,
      tls: { verify, checkHost: true, ...(file === undefined ? {} : { authorityFile: file }) },
    });
    expect(await (await open(withAuthority(authorityFile))).client.ping()).toBe('PONG');
    expect(await (await open(withAuthority(otherFile, false))).client.ping()).toBe('PONG');
    for (const wrong of [otherFile, undefined]) {
      const errors: Error[] = [];
      const client = openRedis(withAuthority(wrong), 'test', (error) => errors.push(error));
      await failure(client.connect());
      await until(() => errors.length > 0);
      client.disconnect();
      expect(errors[0]?.message).toMatch(/certificate/);
    }
    expect(() => openRedis(withAuthority(join(directory, 'missing.pem')), 'test', () => undefined)).toThrow(/ENOENT/);
  });
});

const sentinelSettings = async (): Promise<RedisSettings> => {
  const { name, sentinels: nodes } = await sentinels();
  return { target: { is: 'sentinel', name, sentinels: nodes }, password: 'secret', database: 0 };
};
const clusterSettings = async (): Promise<RedisSettings> => {
  const { nodes } = await cluster();
  // One is enough to find the others.
  return { target: { is: 'cluster', nodes: nodes.slice(0, 1) }, password: 'secret', database: 0 };
};

/** Writes all the time; says how long nothing was taken, and that no command ever waited. */
async function gapOf(
  client: RedisClient,
  fail: () => void,
  key: string,
): Promise<{ gapMs: number; slowestMs: number }> {
  let lastAt = performance.now();
  let gapMs = 0;
  let slowestMs = 0;
  let taken = 0;
  let failed = 0;
  let takenAfter = 0;
  const endAt = performance.now() + 9_000;
  while (performance.now() < endAt && !(failed > 0 && takenAfter > 50)) {
    const sentAt = performance.now();
    const fault = await failure(client.set(key, '1', 'PX', 10_000));
    slowestMs = Math.max(slowestMs, performance.now() - sentAt);
    if (fault === 'no failure') {
      gapMs = Math.max(gapMs, performance.now() - lastAt);
      lastAt = performance.now();
      taken++;
      if (failed > 0) takenAfter++;
      if (taken === 20) fail();
    } else failed++;
    await sleep(5);
  }
  expect(takenAfter).toBeGreaterThan(50);
  return { gapMs, slowestMs };
}

describe.each([
  ['Sentinels', sentinelSettings, async () => (await sentinels()).primary()],
  ['a Cluster', clusterSettings, async () => (await cluster()).servers[0]],
] as const)('with %s', (_, settings, primary) => {
  it('cooldowns are shared, and a primary that hangs is replaced within seconds while no command waits', async () => {
    const where = await settings();
    const told: string[] = [];
    const share = (id: string) =>
      new RedisCooldownShare({
        redis: where,
        processId: id,
        deploymentIds: ['deployment'],
        onCooldown: (deployment) => told.push(`${id} ${deployment}`),
        onError: () => undefined,
      });
    const shares = [share('one'), share('two')];
    onTestFinished(() => shares.forEach((each) => each.close()));
    for (const each of shares) each.start();
    await until(() => shares.every(({ up }) => up));
    shares[0]?.publish('deployment', 60_000);
    await until(() => told.length > 0);
    expect(told).toEqual(['two deployment']);

    const { client } = await open(where);
    const first = await primary();
    // The slot of this key is the first server's in a Cluster of three.
    const { gapMs, slowestMs } = await gapOf(client, () => first?.kill('SIGSTOP'), 'key:{06S}');
    first?.kill('SIGKILL');
    expect(gapMs).toBeLessThan(7_000);
    expect(slowestMs).toBeLessThan(within(1_800));
    told.length = 0;
    await until(() => {
      shares[1]?.publish('deployment', 60_000);
      return told.includes('one deployment');
    });
  });
});
