import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { RedisSettings } from '../../../gateway/domain/redis-settings.ts';
import { RedisCooldownShare } from '../../../gateway/stores/cooldown-share.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type RedisServer, startRedis } from '../../../runbooks/lab/redis.ts';
import { until } from '../../support/processes.ts';
import { within } from '../../support/quiet-machine.ts';
import { freshRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
/** Messages reach every logical database of the run, so ids are this file's own. */
let id: string;
let serial = 0;

beforeAll(async () => {
  redis = await freshRedis();
});
beforeEach(() => {
  id = `${redis.prefix}deployment-${serial++}`;
});
afterAll(() => redis.flush());

interface Told {
  readonly id: string;
  readonly forMs: number;
}

/** One gateway process, as far as cooldowns go. */
async function open(url: RedisSettings | string = redis.url, connect = true) {
  const told: Told[] = [];
  const errors: Error[] = [];
  const share = new RedisCooldownShare({
    redis: url,
    processId: `process-${serial++}`,
    deploymentIds: [id],
    onCooldown: (deploymentId, forMs) => {
      if (deploymentId === id) told.push({ id: deploymentId, forMs });
    },
    onError: (error) => errors.push(error),
  });
  onTestFinished(() => share.close());
  share.start();
  if (connect) await until(() => share.up);
  return { share, told, errors };
}

describe('a cooldown', () => {
  it('is known to a running sibling in less than a second, with its whole duration, and not told to its sender', async () => {
    const [one, two] = [await open(), await open()];
    const at = performance.now();
    one.share.publish(id, 30_000.5);
    await until(() => two.told.length > 0);
    expect(performance.now() - at).toBeLessThan(1_000);
    expect(two.told).toEqual([{ id, forMs: 30_000.5 }]);
    expect(one.told).toEqual([]);
  });

  it('is known to a sibling that starts later, with what is left of it', async () => {
    const one = await open();
    const witness = await open();
    one.share.publish(id, 30_000);
    await until(() => witness.told.length > 0);
    const late = await open();
    await until(() => late.told.length > 0);
    expect(late.told[0]?.forMs).toBeGreaterThan(20_000);
    expect(late.told[0]?.forMs).toBeLessThanOrEqual(30_000);
  });

  it('that is over is not told to anybody', async () => {
    const one = await open();
    const witness = await open();
    one.share.publish(id, 1);
    await until(() => witness.told.length > 0);
    expect((await open()).told).toEqual([]);
  });

  it('nonsense on the channel is ignored', async () => {
    const one = await open();
    const { Redis } = await import('ioredis');
    const client = new Redis(redis.url);
    for (const text of ['', 'null', '{}', `{"id":"${id}"}`, `{"id":"${id}","forMs":-1,"from":"x"}`, '\u0000']) {
      await client.publish('holdfast:cooldown', text);
    }
    await client.publish('holdfast:cooldown', JSON.stringify({ id, forMs: 7, from: 'x' }));
    await until(() => one.told.length > 0);
    expect(one.told).toEqual([{ id, forMs: 7 }]);
    client.disconnect();
  });
});

describe('a Redis that is not there', () => {
  it('costs nothing: start and publish return at once, and nothing is thrown', async () => {
    const { share, errors } = await open(`redis://127.0.0.1:${await freePort()}`, false);
    expect(share.up).toBe(false);
    for (let count = 0; count < 1_000; count++) share.publish(id, 1_000);
    await until(() => errors.length > 0);
    expect(share.up).toBe(false);
  });

  it('and comes: it is found, and cooldowns are shared', async () => {
    const port = await freePort();
    const url = `redis://127.0.0.1:${port}`;
    const [one, two] = [await open(url, false), await open(url, false)];
    const server = await startRedis({ port });
    onTestFinished(() => server.stop());
    await until(() => one.share.up && two.share.up);
    one.share.publish(id, 1_000);
    await until(() => two.told.length > 0);
  });
});

describe('a Redis that freezes', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ port: await freePort() });
  });
  afterAll(async () => {
    server.kill('SIGCONT');
    await server.stop();
  });

  it('blocks nobody: publishing returns at once, the failure is told, and it works again when it thaws', async () => {
    const [one, two] = [await open(server.url), await open(server.url)];
    server.kill('SIGSTOP');
    const at = performance.now();
    for (let count = 0; count < 100; count++) one.share.publish(id, 60_000);
    expect(performance.now() - at).toBeLessThan(within(100));
    await until(() => one.errors.length > 0);
    server.kill('SIGCONT');
    // What was sent before the freeze may still arrive; a new message must.
    await until(() => {
      one.share.publish(id, 5);
      return two.told.some(({ forMs }) => forMs === 5);
    });
  });

  it('is noticed within seconds although its connections stay open', async () => {
    const one = await open(server.url);
    server.kill('SIGSTOP');
    await until(() => !one.share.up);
    server.kill('SIGCONT');
    await until(() => one.share.up);
  });
});
