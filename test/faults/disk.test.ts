/** Disks that are full: a tmpfs each, so mounting must be allowed (it needs root). */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Clients } from '../support/ledgers.ts';
import { until } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { chat, makeKey, openSite, rows, statuses, tell } from './site.ts';

const mebibyte = 1024 * 1024;
const directory = await temporaryDirectory();

function mountTmpfs(name: string, megabytes: number): string | undefined {
  const path = join(directory, name);
  mkdirSync(path);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', path]);
  return status === 0 ? path : undefined;
}

const forDatabase = mountTmpfs('database', 160);
const forOutbox = mountTmpfs('outbox', 80);
afterAll(() => {
  for (const path of [forDatabase, forOutbox]) if (path !== undefined) spawnSync('umount', ['--lazy', path]);
});

/** Leaves so many bytes free. */
function fill(path: string, leaving = 0): { release(): void } {
  const name = join(path, 'ballast');
  const file = openSync(name, 'a');
  const block = Buffer.alloc(mebibyte, 1);
  try {
    for (;;) {
      const { bavail, bsize } = statfsSync(path);
      const room = bavail * bsize - leaving;
      if (room <= 0) break;
      writeSync(file, block, 0, Math.min(block.length, room));
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  } finally {
    closeSync(file);
  }
  return { release: () => rmSync(name) };
}

describe.skipIf(forDatabase === undefined || forOutbox === undefined)('a full disk', () => {
  it("P5: of PostgreSQL costs no request of a known key, administrators get 503 with a reason, and all is well within 5 s of its return, without a gateway's restart", async () => {
    const path = forDatabase ?? '';
    const site = await openSite({ gateways: 2, postgresDirectory: join(path, 'postgres') });
    try {
      const key = await site.newKey();
      const clients = new Clients(site.urls, { key, name: 'p5-', pauseMs: 20 });
      const load = clients.run(4);
      await until(() => clients.answered > 20);
      const ballast = fill(path);
      const [gateway] = site.gateways;
      if (gateway === undefined) throw new Error('no gateway');
      // Large enough that what PostgreSQL still has of room does not suffice.
      const big = { metadata: { note: 'x'.repeat(200_000) } };
      await until(async () => (await gateway.post('/key/generate', big)).status === 503, 20_000);
      const refused = await gateway.post('/key/generate', big);
      const { answered } = clients;
      expect(refused.status).toBe(503);
      expect(await refused.text()).toMatch(/database/i);
      await until(() => clients.answered > answered + 100);
      ballast.release();
      // A server that could not even write its log has ended, as it should; people start it again.
      const isGone = await Promise.race([site.postgres().exited.then(() => true), site.postgresAnswers(3_000)]);
      if (isGone) await site.restart();
      const backAtMs = performance.now();
      await until(async () => (await gateway.post('/key/generate', {})).status === 200);
      const writesMs = performance.now() - backAtMs;
      clients.stop();
      await load;
      tell('P5', { answered: clients.answered, serverEnded: isGone, writesResumedMs: writesMs });
      expect(writesMs).toBeLessThan(5_000);
      expect(Object.keys(statuses(clients.entries))).toEqual(['200']);
      await site.reconciled(clients);
    } finally {
      await site.close();
    }
  }, 60_000);

  it('D1: of a gateway refuses keys with budgets first, then all that costs money, and loses nothing that it has begun', async () => {
    const path = forOutbox ?? '';
    const site = await openSite({ gateways: 1, dataDirectory: join(path, 'data') });
    try {
      const [gateway] = site.gateways;
      if (gateway === undefined) throw new Error('no gateway');
      const free = await site.newKey();
      const bound = await makeKey(gateway, { max_budget: 10 });
      const statusOf = async (key: string): Promise<number> => {
        const answer = await chat(gateway, key);
        await answer.text();
        return answer.status;
      };
      expect([await statusOf(free), await statusOf(bound)]).toEqual([200, 200]);

      const clients = new Clients(site.urls, { key: free, name: 'd1-', pauseMs: 10 });
      const load = clients.run(4);
      await until(() => clients.answered > 20);
      const some = fill(path, 40 * mebibyte);
      await until(async () => (await statusOf(bound)) === 503);
      expect(await statusOf(free)).toBe(200);
      fill(path);
      await until(async () => (await statusOf(free)) === 503);
      const refused = await chat(gateway, free);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await refused.text()).toContain('can write down no more spend');
      // What costs nothing goes on.
      expect((await gateway.request('/v1/models', { headers: { authorization: `Bearer ${free}` } })).status).toBe(200);
      some.release();
      await until(async () => (await statusOf(free)) === 200);
      await until(async () => (await statusOf(bound)) === 200);
      clients.stop();
      await load;
      expect(Object.keys(statuses(clients.entries))).toEqual(['200', '503']);
      await site.reconciled(clients);
      // One row for each call of the upstream, those besides the load included.
      await until(
        async () =>
          (await rows(site, 'SELECT count(*)::int AS n FROM spend_entry'))[0]?.['n'] === site.upstream.requests.length,
      );
    } finally {
      await site.close();
    }
  }, 60_000);
});
