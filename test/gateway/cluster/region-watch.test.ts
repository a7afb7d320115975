import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pauseMs, RegionWatch, standingOf } from '../../../gateway/cluster/region-watch.ts';
import type { RegionState } from '../../../gateway/domain/region.ts';
import { type Claim, opened, raised, seizure } from '../../../gateway/region/claim.ts';
import { type ClaimBucket, ClaimStore } from '../../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../../gateway/region/s3-bucket.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { RegionRows, type RegionView } from '../../../gateway/stores/region.ts';
import { startObjectStore } from '../../../runbooks/lab/object-store.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

const template = { name: 'migrated_for_watch', prepare: async (url: string) => void (await migrate(url)) };
const { signal } = new AbortController();
const ttlSeconds = 0.6;
const first: Claim = { epoch: 1, writer: 'a', phase: 'held', run: null, candidates: ['b'], sequence: 0, ttlSeconds };

/** A region with its database, and buckets that can be cut off. */
async function region(name: string, buckets: number) {
  const fresh = await freshDatabase(template);
  const store = await startObjectStore();
  const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
  const s3 = openS3({ region: 'eu-west-1', endpoint: store.url, credentials });
  const away = new Set<string>();
  const all = Array.from({ length: buckets }, (_, index): ClaimBucket => {
    const bucket = new S3ClaimBucket(s3, `claims-${index}`, 'claim.json');
    const reach = <T>(work: () => Promise<T>): Promise<T> =>
      away.has(bucket.name) ? Promise.reject(new Error('unreachable')) : work();
    return {
      name: bucket.name,
      read: (stop) => reach(() => bucket.read(stop)),
      swap: (etag, claim, stop) => reach(() => bucket.swap(etag, claim, stop)),
    };
  });
  const claims = new ClaimStore(all);
  await claims.swap(await claims.read(signal), first, signal);
  await query(
    fresh.url,
    `UPDATE region_epoch SET writer_region = 'a';
     UPDATE region_lease SET region = 'a', until = clock_timestamp()`,
  );
  const pool = openPool({ url: fresh.url, poolSize: 2, onError: () => undefined });
  const listeners = new Set<(state: RegionState) => void>();
  const watch = new RegionWatch({
    region: name,
    claims,
    rows: new RegionRows(pool),
    everySeconds: 0.05,
    isLeader: () => true,
    onChange: (state) => {
      for (const listener of listeners) listener(state);
    },
  });
  onTestFinished(async () => {
    await watch.stop();
    s3.destroy();
    await store.close();
    await pool.end();
    await fresh.drop();
  });
  const becomes = (standing: RegionState['standing']): Promise<void> =>
    new Promise((resolve) => {
      if (watch.state.standing === standing) resolve();
      listeners.add((state) => {
        if (state.standing === standing) resolve();
      });
    });
  const mayWrite = (epoch: number): Promise<unknown> =>
    query(fresh.url, `SELECT begin_control_write(${epoch}, '${name}', '0 s')`);
  return { url: fresh.url, claims, watch, away, becomes, mayWrite };
}

async function seize(claims: ClaimStore, run: string, target: string): Promise<Claim> {
  const reading = await claims.read(signal);
  const wanted = reading.newest && seizure(reading.newest, run, target);
  if (wanted?.is !== 'seize') throw new Error('it can be seized');
  const result = await claims.swap(reading, wanted.claim, signal);
  // The keeper renews all the time; whoever loses against it tries again.
  return result.is === 'done' ? wanted.claim : seize(claims, run, target);
}

describe('the writer region', () => {
  it.each([
    ['a quick round', 5_000, 100, 4_900],
    ['buckets that take seconds', 5_000, 3_900, 1_100],
    ['a round longer than the distance', 1_000, 4_000, 100],
  ])('looks at even distances: %s', (_case, everyMs, tookMs, rest) => expect(pauseMs(everyMs, tookMs)).toBe(rest));

  it('that was let write without the claim stops when it reads that another region has seized it', async () => {
    const { url, watch, claims, becomes, mayWrite } = await region('a', 1);
    await query(url, `UPDATE region_lease SET until = 'infinity'`);
    await seize(claims, 'run-1', 'b');
    // For all processes of the region, also those that cannot read the claim.
    await mayWrite(1);
    watch.start();
    await becomes('fenced');
    await expect(mayWrite(1)).rejects.toMatchObject({ code: 'HF002' });
  });

  it('knows nothing of the candidates and of the phase of an epoch that it only heard of', async () => {
    const { watch, becomes } = await region('a', 1);
    watch.start();
    await becomes('writer');
    watch.hear(7, 'b');
    expect(watch.state).toMatchObject({ epoch: 7, writer: 'b', candidates: [], phase: undefined });
    await watch.look();
    expect(watch.state).toMatchObject({ epoch: 7, candidates: [], phase: undefined });
  });

  it('renews its lease for as long as it holds the claim', async () => {
    const { watch, becomes, mayWrite } = await region('a', 1);
    await expect(mayWrite(1)).rejects.toMatchObject({ code: 'HF002' });
    watch.start();
    await becomes('writer');
    await sleep(ttlSeconds * 1500);
    await mayWrite(1);
    expect(watch.state).toMatchObject({ standing: 'writer', epoch: 1, writer: 'a', faults: [] });
  });

  it('takes no write any more once a run has seized the claim and the wait is over', async () => {
    const { watch, claims, becomes, mayWrite } = await region('a', 1);
    watch.start();
    await becomes('writer');
    await seize(claims, 'run-1', 'b');
    await sleep(ttlSeconds * 1000);
    await expect(mayWrite(1)).rejects.toMatchObject({ code: 'HF002' });
    await watch.look();
    expect(watch.state).toMatchObject({ standing: 'fenced', epoch: 2, writer: 'b', phase: 'seized' });
  });

  it('goes on writing with one of three buckets away, and not with two; both coming back mends it', async () => {
    const { watch, away, becomes, mayWrite } = await region('a', 3);
    watch.start();
    await becomes('writer');
    away.add('claims-0');
    await sleep(ttlSeconds * 1200);
    await mayWrite(1);
    away.add('claims-1');
    await becomes('fenced');
    await expect(mayWrite(1)).rejects.toMatchObject({ code: 'HF002' });
    expect(watch.state.faults).toHaveLength(2);
    away.clear();
    await becomes('writer');
    await mayWrite(1);
  });

  it('that becomes one writes only after its row was raised and the claim opened', async () => {
    const { watch, claims, url, becomes, mayWrite } = await region('b', 1);
    watch.start();
    await becomes('standby');
    const seized = await seize(claims, 'run-1', 'b');
    await becomes('promoted');
    await expect(mayWrite(2)).rejects.toMatchObject({ code: 'HF001' });
    const row = raised({ epoch: 1, writer: 'a', state: 'open' }, seized.epoch, 'b');
    await query(url, `UPDATE region_epoch SET epoch = ${row.epoch}, writer_region = '${row.writer}', state = 'open'`);
    await becomes('fenced');
    await expect(mayWrite(2)).rejects.toMatchObject({ code: 'HF002' });
    const reading = await claims.read(signal);
    const held = reading.newest && opened(reading.newest, 2, row);
    if (held === undefined) throw new Error('it can be opened');
    expect(await claims.swap(reading, held, signal)).toEqual({ is: 'done' });
    await becomes('writer');
    await mayWrite(2);
  });
});

describe('a standing', () => {
  const view = (more: Partial<RegionView> = {}): RegionView => ({
    isPrimary: true,
    row: { epoch: 3, writer: 'a', state: 'open' },
    readAt: '',
    leaseRemainingMs: 1_000,
    replayLagMs: 0,
    ...more,
  });
  const claim: Claim = { ...first, epoch: 3 };

  it.each<[string, string, RegionView | undefined, Claim | undefined, string]>([
    ['of a region without a claim, which is the only one', 'a', view({ leaseRemainingMs: null }), undefined, 'writer'],
    ['of a healthy writer', 'a', view(), claim, 'writer'],
    ['of a writer whose lease is over', 'a', view({ leaseRemainingMs: 0 }), claim, 'fenced'],
    [
      'of a writer whose epoch was closed',
      'a',
      view({ row: { epoch: 3, writer: 'a', state: 'closed' } }),
      claim,
      'fenced',
    ],
    ['of an old primary that wakes up', 'a', view(), { ...claim, epoch: 4, writer: 'b' }, 'fenced'],
    ['of a replica', 'b', view({ isPrimary: false }), claim, 'standby'],
    ['of a replica promoted by accident', 'b', view(), claim, 'standby'],
    ['of a promoted replica before its row is raised', 'b', view(), { ...claim, epoch: 4, writer: 'b' }, 'promoted'],
    [
      'of the named writer whose database is still a replica',
      'b',
      view({ isPrimary: false }),
      { ...claim, writer: 'b' },
      'fenced',
    ],
    ['of a writer without a database', 'a', undefined, claim, 'fenced'],
    ['of a region that can read nothing', 'a', undefined, undefined, 'unknown'],
  ])('%s', (_, name, seen, held, standing) => {
    expect(standingOf(name, seen, held)).toBe(standing);
  });
});
