/** `holdfast region init` and `detach`, over servers that speak S3 and a real database. */
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { detachRegion, initRegion } from '../../../bin/region/claim-objects.ts';
import { type ObjectStore, startObjectStore, storeObject } from '../../../runbooks/lab/object-store.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { query } from '../../support/query.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { fakeHost } from './fake-host.ts';

beforeAll(() => {
  process.env['AWS_ACCESS_KEY_ID'] ??= 'AKIAEXAMPLE';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'not-a-secret';
});

let database: string;
let stores: ObjectStore[];
beforeEach(async () => {
  const fresh = await migratedDatabase();
  database = fresh.url;
  stores = await Promise.all([1, 2, 3].map(() => startObjectStore()));
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await fresh.drop();
  });
});

const placed = (count: 1 | 3) => ({
  database,
  ttl: 15,
  key: 'claim.json',
  buckets: stores
    .slice(0, count)
    .map((_, index) => `claims-${index}@region-${index}`)
    .join(','),
  endpoint: stores
    .slice(0, count)
    .map(({ url }) => url)
    .join(','),
});

const claimIn = (index: number): unknown => {
  const object = stores[index]?.objects.get(`claims-${index}/claim.json`);
  return object === undefined ? undefined : JSON.parse(object.body.toString());
};
const put = (index: number, claim: object): void => {
  const store = stores[index];
  if (store !== undefined) storeObject(store.objects, `claims-${index}/claim.json`, Buffer.from(JSON.stringify(claim)));
};
const row = () =>
  query(
    database,
    `SELECT e.epoch::int, e.writer_region AS writer, l.until = 'infinity' AS forever FROM region_epoch e, region_lease l`,
  );
const host = (typed?: readonly string[]) => fakeHost({ world: new SimulatedWorld(), ...(typed && { typed }) });
const first = { epoch: 1, writer: 'east', phase: 'held', run: null, sequence: 0, ttlSeconds: 15 };

describe('holdfast region init', () => {
  it.each([1, 3] as const)(
    'names the first writer and puts the claim into each of %i buckets; repeated, it changes nothing',
    async (count) => {
      const one = host();
      expect(await initRegion(one, 'east', { ...placed(count), candidate: ['west'] })).toBe(0);
      const expected = { ...first, candidates: ['west'] };
      for (let index = 0; index < count; index++) expect(claimIn(index)).toEqual(expected);
      expect(await row()).toEqual([{ epoch: 1, writer: 'east', forever: false }]);
      const again = host();
      expect(await initRegion(again, 'east', placed(count))).toBe(0);
      expect(again.output()).toContain('The claim is there already: epoch 1, writer east, candidates west');
      expect(claimIn(0)).toEqual(expected);
    },
  );

  it('gives a bucket that lacks it the claim of the others', async () => {
    for (const index of [0, 2]) put(index, { ...first, candidates: ['west'], sequence: 77 });
    expect(await initRegion(host(), 'east', placed(3))).toBe(0);
    expect(claimIn(1)).toEqual({ ...first, candidates: ['west'], sequence: 77 });
  });

  it.each([
    ['another writer', { ...first, writer: 'west', candidates: [] }, 'a claim is there: west in epoch 1, held'],
    ['another epoch', { ...first, epoch: 4, candidates: [] }, 'a claim is there: east in epoch 4, held'],
    [
      'a seizure',
      { ...first, phase: 'seized', run: 'r-1', candidates: [] },
      'a claim is there: east in epoch 1, seized',
    ],
  ])('refuses when the bucket has %s, and changes neither object nor row', async (_case, claim, because) => {
    put(0, claim);
    const one = host();
    expect(await initRegion(one, 'east', placed(1))).toBe(3);
    expect(one.output()).toContain(because);
    expect(claimIn(0)).toEqual(claim);
    expect(await row()).toEqual([{ epoch: 1, writer: 'local', forever: true }]);
  });

  it('refuses while a bucket does not answer, and where the row names another region', async () => {
    await stores[2]?.close();
    const silent = host();
    expect(await initRegion(silent, 'east', placed(3))).toBe(3);
    expect(silent.output()).toMatch(/^Nothing was changed: every bucket must answer, and claims-2 does not/);
    expect(claimIn(0)).toBeUndefined();
    await query(database, `SELECT name_first_region('west')`);
    const other = host();
    expect(await initRegion(other, 'east', placed(1))).toBe(3);
    expect(other.output()).toContain("the database's row names west in epoch 1");
  });

  it('says what is missing: a database, buckets, and which name is none', async () => {
    const one = host();
    expect(await initRegion(one, 'east', { ...placed(1), buckets: 'claims' })).toBe(2);
    expect(one.output()).toContain('"claims" must be BUCKET@REGION');
  });
});

describe('holdfast region detach', () => {
  it('takes a region off the candidates once its name is typed; repeated, it changes nothing', async () => {
    await initRegion(host(), 'east', { ...placed(3), candidate: ['west'] });
    expect(await detachRegion(host(['no']), 'west', placed(3))).toBe(2);
    expect(claimIn(0)).toMatchObject({ candidates: ['west'] });
    // One bucket is lost together with the region.
    await stores[2]?.close();
    expect(await detachRegion(host(['west']), 'west', placed(3))).toBe(0);
    expect([claimIn(0), claimIn(1)]).toEqual([0, 1].map(() => ({ ...first, candidates: [], sequence: 1 })));
    const again = host();
    expect(await detachRegion(again, 'west', placed(3))).toBe(0);
    expect(again.output()).toBe('west is no candidate: nothing waits for it.\n');
  });

  it('never detaches the writer', async () => {
    await initRegion(host(), 'east', placed(1));
    const one = host(['east']);
    expect(await detachRegion(one, 'east', placed(1))).toBe(2);
    expect(one.output()).toContain('east is the writer');
  });

  it('without a majority refuses, unless it is said that the writer shall go on without a claim', async () => {
    await initRegion(host(), 'east', { ...placed(1), candidate: ['west'] });
    await stores[0]?.close();
    const refused = host(['west']);
    expect(await detachRegion(refused, 'west', placed(1))).toBe(3);
    expect(refused.output()).toContain("no majority of the claim's buckets answers (claims-0: ");
    expect(await row()).toEqual([{ epoch: 1, writer: 'east', forever: false }]);
    const done = host(['west']);
    expect(await detachRegion(done, 'west', { ...placed(1), withoutClaim: true })).toBe(0);
    expect(await row()).toEqual([{ epoch: 1, writer: 'east', forever: true }]);
    expect(await query(database, `SELECT begin_control_write(1, 'east', '5 s') > 1000 AS may`)).toEqual([
      { may: true },
    ]);
  });
});
