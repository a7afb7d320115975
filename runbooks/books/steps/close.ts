/** Steps of a planned move: the writer stops by itself, and the replica is seen to have everything. */
import { abortion } from '../../../gateway/region/claim.ts';
import { renewedEpoch } from '../../../gateway/region/claim-upkeep.ts';
import type { Act, Step, Verdict } from '../../engine/step.ts';
import type { RegionWorld } from '../region-world.ts';
import { openedOrHeld, type RegionPlan, swapping } from './claim.ts';
import { lookStep } from './look.ts';

type RegionStep = Step<RegionWorld>;

/** Longest control-plane transaction; one that had begun before the row was closed has ended by then. */
export const longestTransactionSeconds = 5;

/** @param when `at-start` = a replica that lags refuses the run before its first act. */
export const lagStep = (
  { target, former }: RegionPlan,
  maxLagSeconds: number,
  when: 'at-start' | 'in-turn',
): RegionStep => {
  const check: RegionStep['check'] = async (world, { signal }): Promise<Verdict> => {
    const { role, lagSeconds } = await world.database(target).view(signal);
    if (role !== 'replica') return { is: 'done', note: `it is ${role}` };
    if (lagSeconds !== undefined && lagSeconds <= maxLagSeconds)
      return { is: 'done', note: `it lags by ${lagSeconds} s` };
    return {
      is: 'blocked',
      because: `the replica in ${target} lags by ${lagSeconds ?? 'an unknown number of'} s, more than ${maxLagSeconds} s`,
      fix: 'find out what holds replication up (DatabaseReplicationLag), and try again',
    };
  };
  return lookStep({
    id: 'lag',
    title: `See that ${target} has nearly everything of ${former}`,
    words: {
      check: `does the replica in ${target} lag by at most ${maxLagSeconds} s?`,
      canGoWrong: ['a long transaction or an index build holds replication up: wait for its end, do not force it'],
    },
    patienceSeconds: 60,
    ...(when === 'at-start' ? { precondition: check } : {}),
    check,
  });
};

export const closeStep = ({ target, former }: RegionPlan): RegionStep => ({
  id: 'close',
  title: `Close ${former} for control-plane writes`,
  words: {
    check: `is the row of ${former} closed, in the claim's epoch?`,
    takeBack: `opens ${former} again, with a new epoch`,
    act: `set the row to closed: waits for writes that run, refuses every later one; clients get 503 and try again`,
    canGoWrong: [
      'the run ends after this step: writes are refused until it is resumed or taken back; serving and spend go on',
    ],
  },
  patienceSeconds: 60,
  confirm: target,
  check: async (world, { signal }) => {
    const claim = (await world.claims.read(signal)).agreed;
    if (claim === undefined) return { is: 'underway', note: 'too few buckets of the claim agree' };
    if (claim.writer === target) return { is: 'done', note: `${target} has the right to write already` };
    if (claim.writer !== former || claim.phase !== 'held')
      return { is: 'blocked', because: `the claim names ${claim.writer} and is ${claim.phase}` };
    const { row } = await world.database(former).view(signal);
    if (row.epoch !== claim.epoch) {
      return { is: 'blocked', because: `the row of ${former} is of epoch ${row.epoch}, the claim of ${claim.epoch}` };
    }
    return row.state === 'closed' ? { is: 'done' } : { is: 'ready' };
  },
  act: (world, { signal }) => world.database(former).close(signal),
  undo: giveRightBack(former),
});

export const replayedStep = ({ target, former }: RegionPlan): RegionStep =>
  lookStep({
    id: 'replayed',
    title: `See that ${target} has everything`,
    words: {
      check: `does the replica in ${target} show the closed row, which ${former} wrote last?`,
      canGoWrong: ['replication is cut: take the run back, which opens the former writer again'],
    },
    patienceSeconds: 120,
    check: async (world, { signal }) => {
      const [there, here] = await Promise.all([
        world.database(former).view(signal),
        world.database(target).view(signal),
      ]);
      if (here.row.epoch > there.row.epoch) return { is: 'done', note: `${target} is ahead already` };
      const hasAll = here.row.epoch === there.row.epoch && here.row.state === 'closed';
      return hasAll
        ? { is: 'done', facts: { dataLossSeconds: 0, lostWrites: 0 } }
        : { is: 'underway', note: `the replica lags by ${here.lagSeconds ?? 'an unknown number of'} s` };
    },
  });

/** Fencing was read back, so the lease need not be waited out: only transactions that had begun. */
export const waitTransactionsStep = ({ former }: RegionPlan): RegionStep => ({
  id: 'wait',
  title: `Wait until every transaction of ${former} has ended`,
  words: {
    check: 'nothing to look at',
    act: `wait ${longestTransactionSeconds} s, the longest that a control-plane transaction can take`,
    verify: 'the full time has passed in this process',
  },
  patienceSeconds: 60,
  repeatedOnResume: true,
  check: async () => ({ is: 'ready' }),
  act: (world, { signal }) => world.wait(longestTransactionSeconds, signal),
  verify: async (): Promise<Verdict> => ({ is: 'done' }),
  undo: { stays: 'time has passed' },
});

/**
 * Gives the right to write back to the region that had it, as long as the other one was not promoted: with a new epoch, so
 * that everything of this run comes too late from then on. Harmless when repeated.
 */
export function giveRightBack(former: string): Act<RegionWorld> {
  return async (world, context) => {
    const { signal } = context;
    const database = world.database(former);
    const { row } = await database.view(signal);
    const isClosed = row.state === 'closed';
    await swapping((claim, { runId }) => {
      if (claim.writer !== former) return abortion(claim, runId, former);
      return isClosed && row.epoch === claim.epoch ? renewedEpoch(claim, runId, former) : undefined;
    })(world, context);
    const claim = (await world.claims.read(signal)).agreed;
    if (claim?.writer !== former) throw new Error(`${former} has not got the right to write back; look at the claim`);
    if (claim.phase === 'held') return;
    await database.raise(claim.epoch, former, signal);
    const raised = (await database.view(signal)).row;
    await swapping((found) => {
      const next = openedOrHeld(found, claim.epoch, raised);
      // The replica of the other region was never promoted, so it may still be promoted in an emergency.
      return next && { ...next, candidates: found.candidates };
    }, 'agreed')(world, context);
  };
}
