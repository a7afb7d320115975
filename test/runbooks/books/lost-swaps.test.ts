/** A compare-and-swap that loses is seen: tried again on what is there by then, or the run says to whom it has lost. */
import { describe, expect, it } from 'vitest';
import type { Claim } from '../../../gateway/region/claim.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { giveRightBack } from '../../../runbooks/books/steps/close.ts';
import { type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { optionsFor } from '../engine/world.ts';
import { TwoRegions } from './two-regions.ts';

const failover = regionFailover({ target: 'b', former: 'a' });
const confirm = async (_: unknown, expected: string): Promise<string> => expected;
const options = (book: typeof failover, world: RegionWorld, more: Partial<RunOptions<RegionWorld>> = {}) =>
  optionsFor(book, world, { confirm, ...more });

/** Somebody else changes the claim between the look and the swap that would open an epoch, once. */
function overtaken(world: TwoRegions, change: (claim: Claim) => Claim): void {
  let left = 1;
  for (const bucket of world.buckets) {
    const swap = bucket.swap.bind(bucket);
    bucket.swap = async (etag, claim) => {
      if (claim.phase === 'held' && left-- > 0 && bucket.claim !== undefined) await swap(etag, change(bucket.claim));
      return swap(etag, claim);
    };
  }
}

const withoutCandidates = (claim: Claim): Claim => ({ ...claim, candidates: [], sequence: claim.sequence + 1 });

describe('opening the epoch', () => {
  it('goes on from the claim that was faster, when it left the right to write where it was', async () => {
    const world = await TwoRegions.withoutA();
    overtaken(world, withoutCandidates);
    expect(await run(options(failover, world))).toEqual({ is: 'completed' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'held' });
  });

  it('ends at once, with the reason, when a later run has the right', async () => {
    const world = await TwoRegions.withoutA();
    overtaken(world, (claim) => ({ ...claim, epoch: 3, run: 'later', writer: 'c', sequence: claim.sequence + 1 }));
    expect(await run(options(failover, world))).toMatchObject({
      is: 'partial',
      step: 'open',
      because: expect.stringContaining('epoch 3 by now'),
    });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 3, writer: 'c', phase: 'seized' });
  });

  it('ends with the reason when no majority of the buckets answers any more', async () => {
    const world = await TwoRegions.withoutA(3);
    const journal = new MemoryJournal();
    const asked = options(failover, world, { journal });
    const away = (isAway: boolean): void => {
      for (const bucket of world.buckets.slice(1)) bucket.away = isAway;
    };
    const { onEvent } = asked;
    const losing = {
      ...asked,
      onEvent: (event: JournalEvent) => {
        if (event.is === 'acting' && event.step === 'open') away(true);
        onEvent(event);
      },
    };
    expect(await run(losing)).toMatchObject({
      is: 'partial',
      step: 'open',
      because: expect.stringContaining('could not be changed: claims-1: unreachable'),
    });
    away(false);
    expect(await run(options(failover, world, { journal }))).toEqual({ is: 'completed' });
  });
});

describe('giving the right to write back', () => {
  const { signal } = new AbortController();
  const context = { runId: 'resume', token: 'resume', signal, facts: () => ({}), progress: () => undefined };

  async function closed(): Promise<TwoRegions> {
    const world = new TwoRegions();
    await world.database('a').close();
    return world;
  }

  it('opens the former writer though another change of the claim came between', async () => {
    const world = await closed();
    overtaken(world, (claim) => ({ ...claim, sequence: claim.sequence + 1 }));
    await giveRightBack('a')(world, context);
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'a', phase: 'held', candidates: ['b'] });
    expect(world.database('a').row).toEqual({ epoch: 2, writer: 'a', state: 'open' });
  });

  it('keeps a candidate out that was taken off meanwhile', async () => {
    const world = await closed();
    overtaken(world, withoutCandidates);
    await giveRightBack('a')(world, context);
    expect(world.buckets[0]?.claim).toMatchObject({ phase: 'held', candidates: [] });
  });

  it('is not said to be done when a later run has taken the right', async () => {
    const world = await closed();
    overtaken(world, (claim) => ({ ...claim, epoch: 9, run: 'later', writer: 'b', sequence: claim.sequence + 1 }));
    await expect(giveRightBack('a')(world, context)).rejects.toThrow('epoch 9 by now and names b');
  });
});
