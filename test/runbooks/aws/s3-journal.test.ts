import { createServer, request as httpRequest, type Server } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openS3 } from '../../../gateway/region/s3-bucket.ts';
import { S3Journals } from '../../../runbooks/aws/s3-journal.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { type JournalEvent, PositionTaken } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type ObjectStore, startObjectStore } from '../../../runbooks/lab/object-store.ts';
import { TwoRegions } from '../books/two-regions.ts';
import { Crash, CrashingJournal, optionsFor } from '../engine/world.ts';

const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };

async function journalsIn(store: ObjectStore, endpoint = store.url): Promise<S3Journals> {
  const client = openS3({ region: 'us-west-2', endpoint, credentials });
  onTestFinished(() => client.destroy());
  return new S3Journals({ client, bucket: 'survivor', prefix: 'runs/' });
}

async function newStore(): Promise<ObjectStore> {
  const store = await startObjectStore();
  onTestFinished(() => store.close());
  return store;
}

const eventOf = (session: string): JournalEvent => ({
  at: '2026-01-01T00:00:00.000Z',
  session,
  monotonicMs: 1,
  is: 'run-resumed',
  operator: session,
});

const options = (world: TwoRegions, more: object) =>
  optionsFor<RegionWorld>(regionFailover({ target: 'b', former: 'a' }), world, {
    confirm: async (_, expected) => expected,
    ...more,
  });

describe('a journal in a bucket', () => {
  it('lets one of many operators write a position, and tells the others', async () => {
    const journals = await journalsIn(await newStore());
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => journals.of('r-1').append(0, eventOf(`operator-${index}`))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(PositionTaken);
    expect(await journals.of('r-1').read()).toHaveLength(1);
  });

  it('knows its own event again when the answer to a write was lost', async () => {
    const store = await newStore();
    const proxy = await losingFirstPutAnswer(store);
    const journals = await journalsIn(store, proxy);
    await journals.of('r-1').append(0, eventOf('alice'));
    expect(await journals.of('r-1').read()).toMatchObject([{ operator: 'alice' }]);
  });

  it('refuses a journal with a hole, and lists the runs that were begun', async () => {
    const store = await newStore();
    const journals = await journalsIn(store);
    for (const position of [0, 1, 2]) await journals.of('r-1').append(position, eventOf(`s-${position}`));
    await journals.of('r-2').append(0, eventOf('s'));
    expect(await journals.runs()).toEqual(['r-1', 'r-2']);
    store.objects.delete('survivor/runs/r-1/000002.json');
    await expect(journals.of('r-1').read()).rejects.toThrow('000002.json is missing');
  });

  it('lets a run that was killed at any write be finished by another operator, with one promotion', async () => {
    const store = await newStore();
    const journals = await journalsIn(store);
    const whole = journals.of('whole');
    await run(options(await TwoRegions.withoutA(), { journal: whole }));
    const writes = (await whole.read()).length;
    for (let position = 0; position < writes; position++) {
      const when = position % 2 === 0 ? 'before' : 'after';
      const world = await TwoRegions.withoutA();
      const journal = journals.of(`r-${position}`);
      const killed = run(options(world, { journal: new CrashingJournal(journal, position, when) }));
      await expect(killed).rejects.toThrow(Crash);
      expect(await run(options(world, { journal, operator: 'bob' }))).toEqual({ is: 'completed' });
      expect(world.database('b').promotions).toBe(1);
    }
  });

  it('lets two operators who resume at once promote once: one goes on, the other is told', async () => {
    const journals = await journalsIn(await newStore());
    const world = await TwoRegions.withoutA();
    const journal = journals.of('r-1');
    await expect(run(options(world, { journal: new CrashingJournal(journal, 8, 'after') }))).rejects.toThrow(Crash);
    const both = await Promise.allSettled(
      ['bob', 'carol'].map((operator) => run(options(world, { journal, operator }))),
    );
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: expect.any(PositionTaken) });
    expect(world.database('b').promotions).toBe(1);
  });
});

/** Between client and store: the first write lands, and its answer does not come back. */
async function losingFirstPutAnswer(store: ObjectStore): Promise<string> {
  let isLost = false;
  const server: Server = createServer((incoming, response) => {
    const forwarded = httpRequest(
      new URL(incoming.url ?? '/', store.url),
      { method: incoming.method, headers: incoming.headers },
      (answer) => {
        if (incoming.method === 'PUT' && !isLost) {
          isLost = true;
          response.destroy();
          answer.resume();
          return;
        }
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', () => response.destroy());
    incoming.pipe(forwarded);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}`;
}
