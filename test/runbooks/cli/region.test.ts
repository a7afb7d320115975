import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { fenceRegion, pauseWriter, resumeWriter } from '../../../bin/region/change.ts';
import { regionCommand } from '../../../bin/region/commands.ts';
import { regionReady } from '../../../bin/region/ready.ts';
import { regionHistory, regionStatus, regionTopology } from '../../../bin/region/show.ts';
import { openWorld } from '../../../bin/runbook/open-world.ts';
import { runBook } from '../../../bin/runbook/perform.ts';
import platform from '../../../holdfast.config.ts';
import { selfSignedCertificate } from '../../../runbooks/lab/certificate.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { certificateCheck, certificateVerdict } from '../../../runbooks/region/certificate.ts';
import type { RegionPage } from '../../../runbooks/region/page.ts';
import { type RegionReadiness, readyChecks } from '../../../runbooks/region/ready.ts';
import { statusOf } from '../../../runbooks/region/status.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { fakeHost } from './fake-host.ts';

const ready = {
  status: 'healthy',
  holdfast_version: '0.1.0',
  db: 'connected',
  schema_version: '0010_processes',
  config_version: 7,
};

/** A gateway's pages, as far as these commands read them. */
async function pages(region: object, readiness: object = {}): Promise<string> {
  const port = await freePort();
  const server = createServer((request, response) => {
    const isRegion = request.url === '/health/region';
    const page = isRegion ? region : { ...ready, ...readiness };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(page));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}`;
}

const writer = { region: 'a', standing: 'writer', writer: 'a', epoch: 1, faults: [] };
const standby = { region: 'b', standing: 'standby', writer: 'a', epoch: 1, replay_lag_ms: 800, faults: [] };
const both = async (b: object = standby, readiness: object = {}) => ({
  world: 'lab' as const,
  address: [`a=${await pages(writer)}`, `b=${await pages(b, readiness)}`],
});

describe('holdfast region status', () => {
  it('ends with 0 when claim and regions fit together', async () => {
    const host = fakeHost({ world: new SimulatedWorld() });
    expect(await regionStatus(host, await both())).toBe(0);
    expect(host.output()).toContain('claim       epoch 1, a, held, candidates b');
    expect(host.output()).toContain('b           standby, epoch 1, version 0.1.0, lag 0.8 s');
  });

  it('ends with 1 when the writer takes no change, and says how it will again', async () => {
    const host = fakeHost({ world: new SimulatedWorld() });
    const address = [`a=${await pages({ ...writer, standing: 'fenced' })}`, `b=${await pages(standby)}`];
    expect(await regionStatus(host, { world: 'lab', address })).toBe(1);
    expect(host.output()).toContain('a has the right to write and takes no change');
    expect(host.output()).toContain('npx holdfast region resume a');
  });

  it('ends with 1 and says what does not: a region that is behind, an object that was left, a run that was killed', async () => {
    const world = new SimulatedWorld();
    world.takeovers.set('b', 'r-old');
    const [bucket] = world.buckets;
    if (bucket?.claim !== undefined) bucket.claim = { ...bucket.claim, epoch: 2, phase: 'seized', run: 'r-7' };
    const host = fakeHost({ world });
    const options = { world: 'lab', address: [`a=${await pages(writer)}`, 'b=http://127.0.0.1:9'] } as const;
    expect(await regionStatus(host, options)).toBe(1);
    for (const fault of [
      'the run r-7 is promoting a',
      'a knows epoch 1, the claim is of 2',
      'b has a takeover object of the run r-old',
      'b does not answer: fetch failed: ',
    ]) {
      expect(host.output()).toContain(fault);
    }
  });

  it('says that no replica may be promoted when the claim has no candidates', () => {
    const claim = {
      epoch: 2,
      writer: 'b',
      phase: 'held',
      run: null,
      candidates: [],
      sequence: 1,
      ttlSeconds: 15,
    } as const;
    const reading = {
      agreed: { ...claim, candidates: [] },
      newest: { ...claim, candidates: [] },
      isMajority: true,
      unheard: [],
    };
    expect(statusOf(reading, []).faults).toEqual([expect.stringContaining('no replica may be promoted')]);
  });
});

describe('holdfast region ready', () => {
  it('ends with 0 when the standby could take over', async () => {
    const world = new SimulatedWorld();
    world.pods.set('b', { ready: 3, needed: 3 });
    expect(await regionReady(fakeHost({ world }), await both())).toBe(0);
  });

  it('ends with 1 and names every doubt: version, schema, configuration, database, lag, candidate, capacity', async () => {
    const world = new SimulatedWorld();
    const [bucket] = world.buckets;
    if (bucket?.claim !== undefined) bucket.claim = { ...bucket.claim, candidates: [] };
    const host = fakeHost({ world });
    const late = { ...standby, replay_lag_ms: 1_000_000 };
    const behind = { holdfast_version: '0.0.9', schema_version: '0009_estimated-spend', config_version: 6 };
    const options = await both(late, { ...behind, db: 'disconnected', status: 'degraded' });
    expect(await regionReady(host, options)).toBe(1);
    for (const check of ['answers', 'version', 'schema', 'config', 'database', 'lag', 'candidate', 'capacity']) {
      expect(host.output()).toMatch(new RegExp(`b +failed +${check}`));
    }
  });

  it('says what AWS tells, too, as text for Prometheus and as exit code; what is not known is not ready', async () => {
    const world = new SimulatedWorld();
    world.pods.set('b', { ready: 3, needed: 3 });
    const asked: unknown[] = [];
    const host = {
      ...fakeHost({ world }),
      openWorld: async () => ({
        world,
        readiness: async (...[region, from]: readonly [string, string | undefined, AbortSignal]) => {
          asked.push([region, from]);
          return [{ check: 'backups', is: 'unknown', note: 'no answer' } as const];
        },
        close: async () => undefined,
      }),
    };
    const output: string[] = [];
    const terminal = { ...host.terminal, write: (text: string) => void output.push(text) };
    expect(await regionReady({ ...host, terminal }, { ...(await both()), metrics: true })).toBe(1);
    expect(asked).toEqual([['b', 'a']]);
    expect(output.join('')).toContain('# TYPE holdfast_region_ready gauge');
    expect(output.join('')).toContain('holdfast_region_ready{region="b",check="lag"} 1');
    expect(output.join('')).toContain('holdfast_region_ready{region="b",check="backups"} 0');
  });

  it('watches: the address for Prometheus and the file follow every look, and an operator who stops it ends it', async () => {
    const world = new SimulatedWorld();
    world.pods.set('b', { ready: 3, needed: 3 });
    const stop = new AbortController();
    const port = await freePort();
    const textfile = join(await temporaryDirectory(), 'ready.prom');
    const seen: { served: string; file: string; published: number }[] = [];
    const published: (readonly RegionReadiness[])[] = [];
    const host = fakeHost({ world, signal: stop.signal });
    const sleep = async (): Promise<void> => {
      const served = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      seen.push({ served, file: await readFile(textfile, 'utf8'), published: published.length });
      world.pods.set('b', { ready: 1, needed: 3 });
      if (seen.length === 2) stop.abort(new Error('stopped by the operator'));
    };
    const publishReadiness = async (results: readonly RegionReadiness[]): Promise<void> => {
      published.push(results);
      throw new Error('CloudWatch does not answer');
    };
    const watched = {
      ...host,
      clock: { ...host.clock, sleep },
      openWorld: async () => ({ world, publishReadiness, close: async () => undefined }),
    };
    const options = { ...(await both()), watch: 60, listen: port, textfile, cloudwatch: true } as const;
    expect(await regionReady(watched, options)).toBe(1);
    const capacity = seen.map(({ served }) => /check="capacity"} (\d)/.exec(served)?.[1]);
    expect(capacity).toEqual(['1', '0']);
    expect(seen.map(({ file }, index) => file === seen[index]?.served)).toEqual([true, true]);
    expect(seen[0]?.served).toMatch(/holdfast_region_ready_checked_timestamp_seconds\{region="b"\} \d+/);
    // What does not take the answer ends no watch.
    expect(seen.map((one) => one.published)).toEqual([1, 2]);
    expect(host.output()).toContain('CloudWatch does not answer');
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
  });

  it('needs no key and no way into databases in AWS, and names those that books need, all at once', async () => {
    for (const name of ['HOLDFAST_KEY', 'LITELLM_MASTER_KEY']) vi.stubEnv(name, undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const opened = await openWorld('aws', platform, 'looks');
    onTestFinished(() => opened.close());
    expect(opened.readiness).toBeDefined();
    expect(opened.refusals).toEqual({ 'credential-rotation': expect.stringContaining('cluster.secretStore') });
    await expect(openWorld('aws', platform)).rejects.toThrow(/HOLDFAST_KEY[^]*DATABASE_URL_US_EAST_1[^]*US_WEST_2/);
  });

  it('a standby that has the pods it is described to have is large enough: a failover adds the rest', async () => {
    const world = new SimulatedWorld();
    world.pods.set('b', { ready: 2, needed: 3 });
    const host = {
      ...fakeHost({ world }),
      openWorld: async () => ({
        world,
        capacityInPeace: async () => ({ ready: 2, needed: 2 }),
        close: async () => undefined,
      }),
    };
    expect(await regionReady(fakeHost({ world }), await both())).toBe(1);
    expect(await regionReady(host, await both())).toBe(0);
  });

  it('goes on when the claim cannot be read: every standby is told as not ready', async () => {
    const world = new SimulatedWorld();
    world.pods.set('b', { ready: 3, needed: 3 });
    for (const bucket of world.buckets) bucket.away = true;
    const host = fakeHost({ world });
    expect(await regionReady(host, await both())).toBe(1);
    expect(host.output()).toMatch(/b +failed +candidate/);
  });

  it('looks at the certificate that clients get: trusted, for this name, and good for a month', async () => {
    const day = 86_400_000;
    expect(certificateVerdict(40 * day, 0)).toMatchObject({ is: 'ok', note: 'good for 40 days' });
    expect(certificateVerdict(29 * day, 0)).toMatchObject({ is: 'failed' });
    const port = await freePort();
    const { certificate: cert, privateKey: key } = selfSignedCertificate();
    const server = createTlsServer({ cert, key });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { signal } = new AbortController();
    expect(await certificateCheck(`https://localhost:${port}`, signal)).toMatchObject([
      { is: 'failed', note: expect.stringContaining('self-signed') },
    ]);
    expect(await certificateCheck('http://localhost:1', signal)).toEqual([]);
  });

  it('does not call ready what it does not know', () => {
    const page: RegionPage = {
      standing: 'standby',
      writer: 'a',
      epoch: 1,
      replayLagSeconds: undefined,
      faults: [],
      version: '0.1.0',
      image: undefined,
      schemaVersion: '0010_processes',
      configVersion: undefined,
      status: 'healthy',
      database: 'connected',
    };
    const checks = readyChecks(
      { standby: page, writer: { because: 'gone' }, capacity: { because: 'no kubectl' }, isCandidate: true },
      { maxLagSeconds: 900 },
    );
    expect(checks.filter(({ is }) => is === 'unknown').map(({ check }) => check)).toEqual([
      'version',
      'schema',
      'config',
      'lag',
      'capacity',
    ]);
  });
});

describe('holdfast region topology and history', () => {
  it('shows which database follows which, and who wrote from when on', async () => {
    const world = new SimulatedWorld();
    world.database('a').away = true;
    const host = fakeHost({ world, typed: ['b', 'b'] });
    await runBook(host, 'region-failover', ['target=b', 'former=a'], { world: 'lab', poll: 1 });
    expect(await regionTopology(host, { world: 'lab' })).toBe(0);
    expect(await regionHistory(host, { world: 'lab' })).toBe(0);
    expect(host.output()).toContain('holdfast-production-us-west-2-db-1 <- holdfast-production-us-east-1-db-1');
    expect(host.output()).toMatch(/epoch 2 {2}b .*region-failover, r-\d+, alice@desk, writes after/);
  });
});

describe('holdfast region fence, pause, resume', () => {
  it('holds writes of the writer, and lets it go on in a new epoch', async () => {
    const world = new SimulatedWorld();
    const host = fakeHost({ world, typed: ['a', 'a'] });
    expect(await pauseWriter(host, 'a', { world: 'lab' })).toBe(0);
    expect(world.database('a').row.state).toBe('closed');
    expect(await resumeWriter(host, 'a', { world: 'lab' })).toBe(0);
    expect(world.database('a').row).toEqual({ epoch: 2, writer: 'a', state: 'open' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'a', phase: 'held', candidates: ['b'] });
  });

  it('does not say that a region writes while the claim could not be opened', async () => {
    const world = new SimulatedWorld();
    const host = fakeHost({ world, typed: ['a', 'a'] });
    await pauseWriter(host, 'a', { world: 'lab' });
    const [bucket] = world.buckets;
    if (bucket === undefined) throw new Error('there is no bucket');
    const swap = bucket.swap.bind(bucket);
    bucket.swap = async (etag, claim) => {
      if (claim.phase === 'held') throw new Error('the bucket does not answer');
      return swap(etag, claim);
    };
    expect(await resumeWriter(host, 'a', { world: 'lab' })).not.toBe(0);
    expect(host.output()).toMatch(/claim could not be changed/);
    expect(host.output()).not.toContain('a writes in epoch');
    bucket.swap = swap;
    expect(await resumeWriter(fakeHost({ world, typed: ['a'] }), 'a', { world: 'lab' })).toBe(0);
    expect(bucket.claim).toMatchObject({ epoch: 2, writer: 'a', phase: 'held' });
  });

  it('changes nothing without the name, and never gives the right to a region that does not have it', async () => {
    const world = new SimulatedWorld();
    expect(await fenceRegion(fakeHost({ world }), 'a', { world: 'lab' })).toBe(2);
    expect(await fenceRegion(fakeHost({ world, typed: ['b'] }), 'a', { world: 'lab' })).toBe(2);
    expect(world.database('a').row.state).toBe('open');
    expect(await resumeWriter(fakeHost({ world }), 'b', { world: 'lab', confirm: 'b' })).toBe(2);
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 1, writer: 'a' });
  });

  it('fences a region that came back after a failover', async () => {
    const world = SimulatedWorld.failedOver();
    expect(await fenceRegion(fakeHost({ world }), 'a', { world: 'lab', confirm: 'a' })).toBe(0);
    expect(world.database('a').row.state).toBe('closed');
  });
});

it('region promote is the book: it takes its parameters, names typed beforehand and its exit codes', async () => {
  const world = new SimulatedWorld();
  world.database('a').away = true;
  const host = fakeHost({ world });
  const codes: number[] = [];
  const promote = (...words: string[]) =>
    regionCommand(
      () => Promise.resolve(host),
      (code) => codes.push(code),
    ).parseAsync(['promote', 'b', '--world', 'lab', ...words], { from: 'user' });
  await promote('former=a', 'unlisted=perhaps');
  expect(host.output()).toContain('unlisted: ');
  await promote('former=a', '--confirm', 'b', '--poll', '1');
  expect(codes).toEqual([2, 0]);
  expect(world.buckets[0]?.claim).toMatchObject({ writer: 'b' });
});
