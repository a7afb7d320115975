/** The lease of the leader in Kubernetes, with the database's row as the fence of what leaders write. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KubernetesLease } from '../../../gateway/stores/kubernetes-lease.ts';
import { LeaderLease } from '../../../gateway/stores/leader-lease.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { selfSignedCertificate } from '../../../runbooks/lab/certificate.ts';
import { configFor, migratedDatabase, startTestGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type KubernetesApi, startKubernetesApi } from './kubernetes-api.ts';

const leaseSeconds = 30;
const leaseName = 'holdfast-config-sync';

async function installation(secure?: { readonly key: string; readonly cert: string }) {
  const database = await migratedDatabase();
  const api: KubernetesApi = await startKubernetesApi(secure);
  const accountDirectory = await temporaryDirectory();
  const pool = openPool({ url: database.url, poolSize: 4, onError: () => undefined });
  onTestFinished(async () => {
    await api.close();
    await pool.end();
    await database.drop();
  });
  await writeFile(join(accountDirectory, 'token'), `${api.token}\n`);
  await writeFile(join(accountDirectory, 'namespace'), 'gateways');
  if (secure !== undefined) await writeFile(join(accountDirectory, 'ca.crt'), secure.cert);
  const clock = { ms: 1_000_000 };
  const fence = new LeaderLease(pool, 'config_sync', leaseSeconds);
  const candidate = () =>
    new KubernetesLease({
      server: api.url,
      accountDirectory,
      name: leaseName,
      leaseSeconds,
      fence,
      now: () => clock.ms,
      wallNow: () => 1_700_000_000_000 + clock.ms,
    });
  const mayWrite = (epoch: bigint): Promise<boolean> =>
    query(database.url, `SELECT require_leader('config_sync', ${epoch})`).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'HF020') return false;
        throw error;
      },
    );
  return { databaseUrl: database.url, api, accountDirectory, clock, fence, candidate, mayWrite };
}

describe('the lease in Kubernetes', () => {
  it('has one leader, also when two have read the same version of it and both write', async () => {
    const { api, clock, candidate, mayWrite } = await installation();
    const [one, two, three] = [candidate(), candidate(), candidate()];
    const first = await one.take('one');
    expect([first.holder, first.epoch, first.remainingMs]).toEqual(['one', 1n, leaseSeconds * 1000]);
    for (const other of [two, three]) expect((await other.take('other')).holder).toBe('one');

    clock.ms += leaseSeconds * 1000;
    let arrived = 0;
    let open: () => void = () => undefined;
    const both = new Promise<void>((resolve) => {
      open = resolve;
    });
    api.beforeWrite = () => {
      if (++arrived === 2) open();
      return both;
    };
    const [second, third] = await Promise.all([two.take('two'), three.take('three')]);
    expect(arrived).toBe(2);
    expect(second.holder).toBe(third.holder);
    expect([second.epoch, third.epoch]).toEqual([2n, 2n]);
    expect(await mayWrite(2n)).toBe(true);
  });

  it('is made once, when two find none', async () => {
    const { api, candidate } = await installation();
    const holdings = await Promise.all([candidate().take('one'), candidate().take('two')]);
    expect(new Set(holdings.map(({ holder }) => holder)).size).toBe(1);
    expect(api.leases.size).toBe(1);
  });

  it('is kept by renewals under the same epoch, and over only when it was seen unchanged for its whole length', async () => {
    const { clock, candidate } = await installation();
    const [one, two] = [candidate(), candidate()];
    await one.take('one');
    for (let round = 0; round < 5; round++) {
      clock.ms += leaseSeconds * 900;
      expect(await one.take('one')).toMatchObject({ holder: 'one', epoch: 1n });
      expect(await two.take('two')).toMatchObject({ holder: 'one', remainingMs: leaseSeconds * 1000 });
    }
    // Whoever comes new has seen nothing so far, whatever the time of the last renewal says.
    clock.ms += leaseSeconds * 10_000;
    expect(await candidate().take('new')).toMatchObject({ holder: 'one', remainingMs: leaseSeconds * 1000 });
    expect(await two.take('two')).toMatchObject({ holder: 'two', epoch: 2n });
  });

  it('fences: a leader that was replaced writes nothing, before its own row would have run out', async () => {
    const { clock, candidate, mayWrite, fence } = await installation();
    const [old, next] = [candidate(), candidate()];
    expect((await old.take('old')).epoch).toBe(1n);
    await next.take('next');
    clock.ms += leaseSeconds * 1000;
    expect(await mayWrite(1n)).toBe(true);
    expect((await next.take('next')).epoch).toBe(2n);
    expect([await mayWrite(1n), await mayWrite(2n)]).toEqual([false, true]);
    expect(await fence.hold('old', 1n)).toEqual({ holder: 'next', epoch: 2n });
    expect(await old.take('old')).toMatchObject({ holder: 'next', epoch: 2n });
  });

  it('that is given up is taken at once, in a new epoch', async () => {
    const { candidate } = await installation();
    const [one, two] = [candidate(), candidate()];
    await one.take('one');
    await two.take('two');
    expect([await two.resign('two'), await one.resign('one')]).toEqual([false, true]);
    expect(await two.take('two')).toMatchObject({ holder: 'two', epoch: 2n });
  });

  it('goes on above the epochs that the database gave before, since epochs never go back', async () => {
    const { api, candidate, mayWrite, fence } = await installation();
    for (const holder of ['a', 'b', 'c']) {
      await fence.take(holder);
      await fence.resign(holder);
    }
    expect(await candidate().take('one')).toMatchObject({ holder: 'one', epoch: 4n });
    expect(api.leases.get(leaseName)?.spec.leaseTransitions).toBe(4);
    expect(await mayWrite(4n)).toBe(true);
  });

  it('is asked for with the token of now; an answer that refuses is named with its path and without the token', async () => {
    const { api, accountDirectory, candidate } = await installation();
    const lease = candidate();
    await lease.take('one');
    api.token = 'second-token';
    const refused = await lease.take('one').catch((error: unknown) => String(error));
    expect(refused).toMatch(
      /GET \/apis\/coordination\.k8s\.io\/v1\/namespaces\/gateways\/leases\/\S+ with 401 Unauthorized/,
    );
    expect(refused).not.toContain('token');
    await writeFile(join(accountDirectory, 'token'), 'second-token');
    expect(await lease.take('one')).toMatchObject({ holder: 'one', epoch: 1n });
  });
});

it('a gateway in a pod leads by it over HTTPS, stores a version under its epoch, and gives it up when it leaves', async () => {
  const { certificate, privateKey } = selfSignedCertificate();
  const { api, accountDirectory, databaseUrl } = await installation({ key: privateKey, cert: certificate });
  const gateway = await startTestGateway({
    config: configFor(['http://127.0.0.1:9/v1']),
    databaseUrl,
    environment: {
      LLMROUTER_HA_BACKEND: 'kubernetes',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT_HTTPS: new URL(api.url).port,
      HOLDFAST_SERVICE_ACCOUNT_DIRECTORY: accountDirectory,
    },
  });
  try {
    const stored = () => query(databaseUrl, 'SELECT leader_epoch::int AS epoch FROM config_version');
    await until(async () => (await stored()).length > 0);
    expect(await stored()).toEqual([{ epoch: 1 }]);
    expect(api.leases.get(leaseName)?.spec).toMatchObject({ leaseTransitions: 1, leaseDurationSeconds: 30 });
    expect(api.leases.get(leaseName)?.spec.holderIdentity).not.toBe('');
  } finally {
    await gateway.stop();
  }
  expect(api.leases.get(leaseName)?.spec.holderIdentity).toBe('');
}, 30_000);
