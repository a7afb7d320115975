/** Gateways that die, leave and hang behind a real nginx with the settings that are shipped: rows G1, G2 and G3. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type NginxServer, startNginx } from '../../runbooks/lab/nginx.ts';
import type { TestGateway } from '../support/gateway.ts';
import { Clients, databaseEntries } from '../support/ledgers.ts';
import { nginxIsMissing } from '../support/nginx.ts';
import { until } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { metric, openSite, quantile, type Site, slowdown, statuses, tell, tookBetween } from './site.ts';

const missing = await nginxIsMissing();

describe.skipIf(missing)('three gateways behind nginx', () => {
  let site: Site;
  let nginx: NginxServer;
  let key: string;

  beforeAll(async () => {
    const directory = await temporaryDirectory();
    site = await openSite({
      balanced: true,
      // Answers take a moment, and streams half a second more: many are under way at any time.
      upstream: {
        chunkEveryMs: 12,
        intercept: async () => {
          await sleep(100);
          return false;
        },
      },
      environment: (index) => ({ HOLDFAST_DATA_DIRECTORY: join(directory, `gateway-${index}`) }),
    });
    key = await site.newKey({ max_budget: 1_000 });
    nginx = await startNginx({
      port: await freePort(),
      upstreams: site.urls.map((url) => new URL(url).host),
    });
  });
  afterAll(async () => {
    for (const gateway of site.gateways) gateway.kill('SIGCONT');
    await nginx.stop();
    await site.close();
  });

  /** About a hundred requests a second, a third of them streams, around whatever happens. */
  async function underLoad(name: string, happens: () => Promise<void>) {
    const clients = new Clients([nginx.url], { key, name, pauseMs: 100 });
    const load = clients.run(40);
    const fromMs = performance.now();
    await sleep(2_000);
    const faultMs = performance.now();
    await happens();
    const mendedMs = performance.now();
    await sleep(2_000);
    clients.stop();
    await load;
    const rate = (clients.entries.length * 1_000) / (performance.now() - fromMs);
    const failed = clients.entries.filter(({ tokens }) => tokens === undefined);
    return { clients, failed, rate: Math.round(rate), fromMs, faultMs, mendedMs };
  }

  const interruptedCalls = async (): Promise<Set<string>> =>
    new Set(
      (await databaseEntries(site.postgres().url()))
        .filter(({ ending }) => ending === 'interrupted')
        .map(({ callId }) => callId),
    );

  /** nginx sends it requests. */
  async function usedAgain(gateway: TestGateway): Promise<void> {
    const requests = 'litellm_proxy_total_requests_metric_total';
    const served = await metric(gateway, requests);
    await until(async () => (await metric(gateway, requests)) > served);
  }

  it('G1: when one is killed only its own running streams break, each billed once; it is used again after its restart', async () => {
    let usedAgainMs = Number.NaN;
    const { clients, failed, rate, faultMs, fromMs, mendedMs } = await underLoad('g1-', async () => {
      const [victim] = site.gateways;
      victim?.kill('SIGKILL');
      await victim?.exited;
      await sleep(3_000);
      const again = await site.startAgain(0);
      const readyMs = performance.now();
      await usedAgain(again);
      usedAgainMs = performance.now() - readyMs;
    });
    await site.reconciled(clients);
    const lastFailedMs = Math.max(0, ...failed.map(({ sentAtMs, tookMs }) => sentAtMs + tookMs - faultMs));
    const change = slowdown(
      tookBetween(clients.entries, fromMs, faultMs),
      tookBetween(clients.entries, faultMs, mendedMs),
    );
    tell('G1', { answered: clients.answered, rate, streamsCut: failed.length, lastFailedMs, usedAgainMs, change });
    expect(failed.filter(({ stream }) => !stream)).toEqual([]);
    const interrupted = await interruptedCalls();
    expect(failed.filter(({ callId }) => !interrupted.has(callId))).toEqual([]);
    // Nobody was sent to the dead one and failed for it: what broke had begun before.
    expect(failed.filter(({ sentAtMs }) => sentAtMs > faultMs)).toEqual([]);
    expect(lastFailedMs).toBeLessThan(1_000);
    // nginx asks again after its two seconds.
    expect(usedAgainMs).toBeLessThan(4_000);
    expect(change.during.p99).toBeLessThan(2 * change.before.p99 + 250);
  }, 60_000);

  it('G2: while all are restarted, each when the one before is in use again, no request fails and no stream is cut', async () => {
    const { clients, failed, rate } = await underLoad('g2-', async () => {
      for (const index of site.gateways.keys()) {
        const leaving = site.gateways[index];
        leaving?.kill('SIGTERM');
        expect(await leaving?.exited).toEqual({ code: 0, signal: null });
        // As whoever restarts them must do: for nginx's two seconds all three would be gone otherwise.
        await usedAgain(await site.startAgain(index));
      }
    });
    tell('G2', { answered: clients.answered, rate });
    expect(failed).toEqual([]);
    expect(Object.keys(statuses(clients.entries))).toEqual(['200']);
    await site.reconciled(clients);
  }, 60_000);

  it('G3: when one hangs for ten seconds, no request fails, and few wait for it: the others go on', async () => {
    const frozenMs = 10_000;
    const { clients, failed, rate, faultMs } = await underLoad('g3-', async () => {
      site.gateways[0]?.kill('SIGSTOP');
      await sleep(frozenMs);
      site.gateways[0]?.kill('SIGCONT');
    });
    const during = tookBetween(clients.entries, faultMs, faultMs + frozenMs);
    const waited = clients.entries.filter(({ tookMs }) => tookMs > 5_000);
    const longestMs = Math.max(...clients.entries.map(({ tookMs }) => tookMs));
    tell('G3', {
      answered: clients.answered,
      rate,
      during: during.length,
      waited: waited.length,
      longestMs,
      p50: quantile(during, 0.5),
    });
    expect(failed).toEqual([]);
    // Not longer than it hung, and a moment to wake up.
    expect(longestMs).toBeLessThan(frozenMs + 2_500);
    // Of forty at once: it gets no more than the others have.
    expect(waited.length).toBeLessThan(30);
    expect(during.length).toBeGreaterThan(200);
    await site.reconciled(clients);
  }, 60_000);
});
