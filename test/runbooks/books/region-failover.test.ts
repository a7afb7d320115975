import { describe, expect, it } from 'vitest';
import { seizure } from '../../../gateway/region/claim.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { toMarkdown } from '../../../runbooks/engine/document.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { reportDocument, runbookDocument } from '../../../runbooks/engine/print.ts';
import { rehearse } from '../../../runbooks/engine/rehearse.ts';
import { reportOf } from '../../../runbooks/engine/report.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { faultsOf } from '../../../runbooks/engine/step.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { Crash, CrashingJournal, optionsFor } from '../engine/world.ts';
import { TwoRegions } from './two-regions.ts';

const book = regionFailover({ target: 'b', former: 'a' });
const options = (world: TwoRegions, more: Partial<RunOptions<RegionWorld>> = {}): RunOptions<RegionWorld> =>
  optionsFor<RegionWorld>(book, world, { confirm: async (_, expected) => expected, ...more });

/** Where an undisturbed run writes this event. */
async function positionOf(is: string, step: string): Promise<number> {
  const journal = new MemoryJournal();
  await run(options(await TwoRegions.withoutA(), { journal }));
  return (await journal.read()).findIndex((event) => event.is === is && 'step' in event && event.step === step);
}

function expectFailedOver(world: TwoRegions): void {
  const claim = world.buckets[0]?.claim;
  expect(claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'held', candidates: [] });
  expect(world.databases['b']).toMatchObject({
    role: 'primary',
    promotions: 1,
    row: { epoch: 2, writer: 'b', state: 'open' },
  });
  expect([...world.takeovers.keys()]).toEqual(['b']);
}

describe('region-failover', () => {
  it('makes the standby the writer, with the former region gone', async () => {
    const world = await TwoRegions.withoutA();
    expect(await run(options(world))).toEqual({ is: 'completed' });
    expectFailedOver(world);
    // 15 s of lease, 1 % for clocks that run at different speeds, 2 s for a step of the database's.
    expect(world.waits).toEqual([18]);
  });

  it('has an upper bound of the loss in its report: what the replica lacked when nothing more could be acknowledged', async () => {
    const world = await TwoRegions.withoutA();
    world.database('b').lagSeconds = 7;
    const journal = new MemoryJournal();
    await run(options(world, { journal }));
    const report = reportOf(book, await journal.read(), { recoverySeconds: 60, dataLossSeconds: 5 });
    expect(report).toMatchObject({ losses: { dataLossSeconds: 7 }, objectivesMet: false });
    expect(toMarkdown(reportDocument(report))).toContain('| data loss, at most | 7.0 s (objective: 5 s) |');
  });

  it('gives the right to write back when it is taken back before the promotion, once the former region answers', async () => {
    const world = await TwoRegions.withoutA(3);
    const journal = new MemoryJournal();
    const beforePromotion = await positionOf('acting', 'promote');
    const killed = run(options(world, { journal: new CrashingJournal(journal, beforePromotion, 'before') }));
    await expect(killed).rejects.toThrow(Crash);
    expect(await undo(options(world, { journal }))).toMatchObject({
      is: 'partial',
      step: 'seize',
      because: 'unreachable',
    });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'seized' });
    world.database('a').away = false;
    expect(await undo(options(world, { journal }))).toEqual({ is: 'completed', undone: ['seize', 'traffic'] });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 3, writer: 'a', phase: 'held', candidates: ['b'] });
    expect(world.database('a').row).toEqual({ epoch: 3, writer: 'a', state: 'open' });
    expect([world.takeovers.size, world.database('b').promotions]).toEqual([0, 0]);
    // And the next outage finds everything as it was.
    world.database('a').away = true;
    expect(await run(options(world, { runId: 'run-2' }))).toEqual({ is: 'completed' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 4, writer: 'b', phase: 'held' });
  });

  it('cannot be taken back from the promotion on', async () => {
    const world = await TwoRegions.withoutA();
    const journal = new MemoryJournal();
    const asked = await positionOf('acted', 'promote');
    const killed = run(options(world, { journal: new CrashingJournal(journal, asked, 'before') }));
    await expect(killed).rejects.toThrow(Crash);
    world.database('a').away = false;
    expect(await undo(options(world, { journal }))).toMatchObject({ is: 'partial', step: 'promote' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'seized' });
  });

  it('promotes no region that is not a candidate: not before its first act, and not unless somebody takes the loss', async () => {
    const world = await TwoRegions.withoutA();
    const [bucket] = world.buckets;
    if (bucket?.claim === undefined) throw new Error('there is no claim');
    // As after `region detach b`.
    bucket.claim = { ...bucket.claim, candidates: [] };
    expect(await run(options(world))).toMatchObject({
      is: 'refused',
      because: expect.stringContaining('b is no candidate'),
    });
    expect([bucket.claim.epoch, world.takeovers.size]).toEqual([1, 0]);
    const anyway = regionFailover({ target: 'b', former: 'a', unlisted: 'promote' });
    const confirm = async (_: unknown, expected: string) => expected;
    expect(await run(optionsFor<RegionWorld>(anyway, world, { confirm }))).toEqual({ is: 'completed' });
    expectFailedOver(world);
  });

  it('seizes also when the writer renews between every look and every swap of its own', async () => {
    const world = await TwoRegions.withoutA();
    const [bucket] = world.buckets;
    if (bucket === undefined) throw new Error('there is no bucket');
    let renewals = 0;
    const swap = bucket.swap.bind(bucket);
    bucket.swap = async (etag, claim) => {
      if (bucket.claim?.phase === 'held' && renewals < 3) {
        renewals++;
        await swap((await bucket.read()).etag, { ...bucket.claim, sequence: bucket.claim.sequence + 1 });
      }
      return swap(etag, claim);
    };
    expect(await run(options(world))).toEqual({ is: 'completed' });
    expect(renewals).toBe(3);
    expectFailedOver(world);
  });

  it('killed at any write of its journal, before or after it lands, ends the same way, with one promotion', async () => {
    const whole = new MemoryJournal();
    await run(options(await TwoRegions.withoutA(), { journal: whole }));
    const writes = (await whole.read()).length;
    expect(writes).toBeGreaterThan(20);
    for (let position = 0; position < writes; position++) {
      for (const when of ['before', 'after'] as const) {
        const world = await TwoRegions.withoutA(3);
        const journal = new MemoryJournal();
        const killed = run(options(world, { journal: new CrashingJournal(journal, position, when) }));
        await expect(killed, `${when} write ${position + 1}`).rejects.toThrow(Crash);
        expect(await run(options(world, { journal, operator: 'bob' }))).toEqual({ is: 'completed' });
        expectFailedOver(world);
      }
    }
  });

  it('does a wait that was interrupted again in full, and not one that was over before the promotion', async () => {
    const world = await TwoRegions.withoutA();
    const journal = new MemoryJournal();
    const waitBegins = await positionOf('acting', 'wait');
    await expect(run(options(world, { journal: new CrashingJournal(journal, waitBegins, 'after') }))).rejects.toThrow(
      Crash,
    );
    expect((await journal.read()).at(-1)).toMatchObject({ is: 'acting', step: 'wait' });
    await run(options(world, { journal }));
    expect(world.waits).toEqual([18]);
    await run(options(world, { journal }));
    expect(world.waits).toEqual([18]);
  });

  it('waits again when its process was replaced before the promotion, since nobody knows for how long it was gone', async () => {
    const world = await TwoRegions.withoutA();
    const journal = new MemoryJournal();
    const waited = await positionOf('verified', 'wait');
    await expect(run(options(world, { journal: new CrashingJournal(journal, waited, 'after') }))).rejects.toThrow(
      Crash,
    );
    expect(await run(options(world, { journal }))).toEqual({ is: 'completed' });
    expect(world.waits).toEqual([18, 18]);
    expectFailedOver(world);
  });

  it('stops when the row of its epoch names another region', async () => {
    const world = await TwoRegions.withoutA();
    const database = world.databases['b'];
    if (database !== undefined) database.row = { epoch: 2, writer: 'c', state: 'open' };
    expect(await run(options(world))).toMatchObject({
      is: 'partial',
      step: 'raise',
      because: expect.stringContaining('c'),
    });
  });

  it('changes nothing without the name of the region, and moves no traffic without a majority of the buckets', async () => {
    const world = await TwoRegions.withoutA(3);
    for (const bucket of world.buckets.slice(1)) bucket.away = true;
    expect(await run(options(world))).toMatchObject({ is: 'refused', step: 'seize' });
    expect(world.takeovers.size).toBe(0);
    for (const bucket of world.buckets) bucket.away = false;
    expect(await run(options(world, { confirm: async () => 'a' }))).toMatchObject({ is: 'partial', step: 'seize' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 1, writer: 'a' });
  });

  it('works with one of three buckets away', async () => {
    const world = await TwoRegions.withoutA(3);
    const [, , third] = world.buckets;
    if (third !== undefined) third.away = true;
    expect(await run(options(world))).toEqual({ is: 'completed' });
    expectFailedOver(world);
    expect(third?.claim?.epoch).toBe(1);
  });

  it("leaves another operator's promotion of another region alone, and goes on with one of the same region", async () => {
    const elsewhere = await TwoRegions.withoutA();
    const [bucket] = elsewhere.buckets;
    const other = bucket?.claim && seizure(bucket.claim, 'their-run', 'c');
    if (bucket === undefined || other?.is !== 'seize') throw new Error('it can be seized');
    bucket.claim = other.claim;
    expect(await run(options(elsewhere))).toMatchObject({
      is: 'refused',
      step: 'seize',
      because: expect.stringContaining('their-run is promoting c'),
    });
    expect(elsewhere.takeovers.size).toBe(0);
    const same = await TwoRegions.withoutA();
    const mine = same.buckets[0]?.claim && seizure(same.buckets[0].claim, 'their-run', 'b');
    if (same.buckets[0] === undefined || mine?.is !== 'seize') throw new Error('it can be seized');
    same.buckets[0].claim = mine.claim;
    expect(await run(options(same))).toEqual({ is: 'completed' });
    expectFailedOver(same);
  });

  it('run by two operators at once promotes once', async () => {
    const world = await TwoRegions.withoutA();
    const outcomes = await Promise.all([
      run(options(world, { runId: 'run-1' })),
      run(options(world, { runId: 'run-2', operator: 'bob' })),
    ]);
    expect(outcomes.some(({ is }) => is === 'completed')).toBe(true);
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'held' });
    expect(world.databases['b']?.row).toMatchObject({ epoch: 2, writer: 'b' });
  });

  it('resumed too late, after the right to write went back, promotes and opens nothing', async () => {
    const world = await TwoRegions.withoutA();
    const journal = new MemoryJournal();
    const beforePromotion = await positionOf('acting', 'promote');
    await expect(
      run(options(world, { journal: new CrashingJournal(journal, beforePromotion, 'before') })),
    ).rejects.toThrow(Crash);
    expect((await journal.read()).at(-1)).toMatchObject({ is: 'verified', step: 'wait' });
    const [bucket] = world.buckets;
    if (bucket?.claim === undefined) throw new Error('there is a claim');
    bucket.claim = { ...bucket.claim, epoch: 3, writer: 'a', phase: 'held', run: 'abort' };
    expect(await run(options(world, { journal }))).toMatchObject({
      is: 'partial',
      step: 'promote',
      because: expect.stringContaining('epoch 3 by now'),
    });
    expect(world.databases['b']).toMatchObject({ role: 'replica', promotions: 0 });
  });

  it('rehearsed changes nothing and says what it would find', async () => {
    const world = await TwoRegions.withoutA();
    const before = JSON.stringify([world.buckets, world.databases, [...world.takeovers]]);
    const { steps, wouldBegin } = await rehearse<RegionWorld>(book, world, new AbortController().signal);
    expect(wouldBegin).toBe(true);
    expect(steps.map(({ step, verdict }) => `${step.id} ${verdict.is}`)).toEqual([
      'capacity done',
      'traffic ready',
      'seize ready',
      'wait ready',
      'promote later',
      'raise later',
      'open later',
      'verify underway',
    ]);
    expect(JSON.stringify([world.buckets, world.databases, [...world.takeovers]])).toBe(before);
  });

  it('is a whole runbook, and its printed form says when not to use it', () => {
    expect(faultsOf(book)).toEqual([]);
    const printed = toMarkdown(runbookDocument(book));
    expect(printed).toContain('use region-switchover, which loses nothing');
    for (const { title } of book.steps) expect(printed).toContain(title);
  });
});
