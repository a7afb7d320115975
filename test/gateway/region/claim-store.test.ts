import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Claim, seizure } from '../../../gateway/region/claim.ts';
import { type ClaimBucket, ClaimStore, type InBucket } from '../../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../../gateway/region/s3-bucket.ts';
import { type ObjectStore, startObjectStore, storeObject } from '../../../runbooks/lab/object-store.ts';

const { signal } = new AbortController();
const first: Claim = {
  epoch: 1,
  writer: 'a',
  phase: 'held',
  run: null,
  candidates: ['b'],
  sequence: 0,
  ttlSeconds: 15,
};

/** A bucket in memory that can be cut off, or lose an answer after it has written. */
class TestBucket implements ClaimBucket {
  readonly name: string;
  state: 'up' | 'down' | 'loses answers' = 'up';
  #claim: Claim | undefined;
  #version = 0;

  constructor(name: string) {
    this.name = name;
  }

  async read(): Promise<InBucket> {
    if (this.state === 'down') throw new Error('unreachable');
    return { claim: this.#claim, etag: this.#claim === undefined ? undefined : String(this.#version) };
  }

  async swap(etag: string | undefined, claim: Claim): Promise<boolean> {
    if (this.state === 'down') throw new Error('unreachable');
    const current = this.#claim === undefined ? undefined : String(this.#version);
    if (etag !== current) return false;
    this.#claim = claim;
    this.#version++;
    if (this.state === 'loses answers') throw new Error('timeout');
    return true;
  }
}

async function threeBuckets() {
  const buckets = ['x', 'y', 'z'].map((name) => new TestBucket(name));
  const store = new ClaimStore(buckets);
  await store.swap(await store.read(signal), first, signal);
  return { buckets, store };
}

describe('the claim in three buckets', () => {
  it('changes with one bucket away, and not with two', async () => {
    const { buckets, store } = await threeBuckets();
    const [x, y] = buckets;
    if (x === undefined || y === undefined) throw new Error('there are three');
    x.state = 'down';
    const renewal = { ...first, sequence: 1 };
    expect(await store.swap(await store.read(signal), renewal, signal)).toEqual({ is: 'done' });
    y.state = 'down';
    const reading = await store.read(signal);
    expect(reading).toMatchObject({ isMajority: false, agreed: undefined });
    expect(await store.swap(reading, { ...first, sequence: 2 }, signal)).toMatchObject({ is: 'unknown' });
  });

  it('takes a write whose answer was lost for what it is: done', async () => {
    const { buckets, store } = await threeBuckets();
    for (const bucket of buckets) bucket.state = 'loses answers';
    expect(await store.swap(await store.read(signal), { ...first, sequence: 1 }, signal)).toEqual({ is: 'done' });
  });

  it('takes no other claim of the same epoch, run and sequence for its own', async () => {
    const { store } = await threeBuckets();
    const reading = await store.read(signal);
    const renewal = { ...first, sequence: 1 };
    expect(await store.swap(reading, renewal, signal)).toEqual({ is: 'done' });
    expect(await store.swap(reading, { ...renewal, candidates: [] }, signal)).toMatchObject({
      is: 'lost',
      reading: { agreed: renewal },
    });
  });

  it('stays with the writer when a seizure reached one bucket only, and the resumed run completes it', async () => {
    const { buckets, store } = await threeBuckets();
    const [x] = buckets;
    const seized = seizure(first, 'run-1', 'b');
    if (seized.is !== 'seize' || x === undefined) throw new Error('it can be seized');
    await x.swap((await x.read()).etag, seized.claim);
    const reading = await store.read(signal);
    expect(reading.agreed).toEqual(first);
    expect(reading.newest).toEqual(seized.claim);
    expect(await store.swap(reading, { ...first, sequence: 1 }, signal)).toEqual({ is: 'done' });
    expect(await store.swap(await store.read(signal), seized.claim, signal)).toEqual({ is: 'done' });
    expect((await store.read(signal)).agreed).toEqual(seized.claim);
    expect(await store.swap(await store.read(signal), { ...first, sequence: 2 }, signal)).toMatchObject({ is: 'lost' });
  });

  it('never is held by two runs at once, whoever is cut off from whom and whatever answers are lost', async () => {
    const weather = fc.array(fc.constantFrom('up' as const, 'down' as const, 'loses answers' as const), {
      minLength: 3,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(weather, { minLength: 1, maxLength: 6 }), async (days) => {
        const { buckets, store } = await threeBuckets();
        for (const [day, states] of days.entries()) {
          for (const [index, bucket] of buckets.entries()) bucket.state = states[index] ?? 'up';
          const readings = await Promise.all([store.read(signal), store.read(signal)]);
          const results = await Promise.all(
            readings.map(async (reading, operator) => {
              if (reading.newest === undefined) return false;
              const wanted = seizure(
                { ...reading.newest, phase: 'held' },
                `run-${day}-${operator}`,
                `region-${operator}-${day}`,
              );
              if (wanted.is !== 'seize') return false;
              return (await store.swap(reading, wanted.claim, signal)).is === 'done';
            }),
          );
          expect(results.filter(Boolean).length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the claim in one S3 bucket', () => {
  async function oneBucket(): Promise<{ store: ClaimStore; server: ObjectStore }> {
    const server = await startObjectStore();
    const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
    const client = openS3({ region: 'eu-west-1', endpoint: server.url, credentials });
    onTestFinished(async () => {
      client.destroy();
      await server.close();
    });
    return { store: new ClaimStore([new S3ClaimBucket(client, 'claims', 'claim.json')]), server };
  }

  it('is written once when two begin at once', async () => {
    const { store } = await oneBucket();
    const reading = await store.read(signal);
    const results = await Promise.all(['run-1', 'run-2'].map((run) => store.swap(reading, { ...first, run }, signal)));
    expect(results.filter(({ is }) => is === 'done')).toHaveLength(1);
  });

  it('that nobody understands is not overwritten as if there were none', async () => {
    const { store, server } = await oneBucket();
    await store.swap(await store.read(signal), first, signal);
    const [name] = server.objects.keys();
    storeObject(server.objects, name ?? '', Buffer.from('{"epoch":"seven"}'));
    const reading = await store.read(signal);
    expect(reading).toMatchObject({ isMajority: false, newest: undefined });
    expect(await store.swap(reading, first, signal)).toMatchObject({ is: 'unknown' });
  });
});
