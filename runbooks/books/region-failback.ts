/**
 * Failback: a region that was given up becomes the writer again. Its old database is never merged: what only it has is
 * listed, then a new replica is built. Clients come back by shares, watched, while everything can still be taken back;
 * the right to write moves last, because RDS cannot demote.
 */
import { withCandidate, withoutCandidate } from '../../gateway/region/claim-upkeep.ts';
import type { Runbook, Step, Verdict } from '../engine/step.ts';
import { type CanaryWorld, defaultGate, type GateLimits } from './canary-world.ts';
import type { RegionWorld } from './region-world.ts';
import { bakeStep } from './steps/bake.ts';
import { capacityStep } from './steps/capacity.ts';
import { openStep, promoteStep, type RegionPlan, raiseStep, seizeStep, swapping } from './steps/claim.ts';
import { closeStep, giveRightBack, lagStep, replayedStep, waitTransactionsStep } from './steps/close.ts';
import { type CacheMove, cacheSteps } from './steps/global-cache.ts';
import { lookStep } from './steps/look.ts';
import { verifyStep } from './steps/verify.ts';

export interface FailbackPlan extends RegionPlan {
  readonly maxLagSeconds: number;
  readonly bakeSeconds: number;
  readonly gate?: GateLimits;
  readonly cache?: Exclude<CacheMove, 'detach'>;
}

/** What the failback needs besides: the new replica, and what the old database alone has. */
export interface FailbackWorld extends RegionWorld, CanaryWorld {
  readonly replicas: Replicas;
}

export interface Replicas {
  /** A replica in `region` that follows the database of `source`. */
  view(region: string, source: string, signal: AbortSignal): Promise<'absent' | 'creating' | 'ready'>;
  /** Builds it beside what is left of the old database. Harmless when it was asked for before with this token. */
  create(region: string, source: string, token: string, signal: AbortSignal): Promise<void>;
  remove(region: string, source: string, signal: AbortSignal): Promise<void>;
  /** The list of rows that only the region's old database has; undefined = not made yet. */
  lostWrites(region: string, survivor: string, signal: AbortSignal): Promise<LostWrites | undefined>;
  listLostWrites(region: string, survivor: string, token: string, signal: AbortSignal): Promise<void>;
}

export interface LostWrites {
  readonly count: number;
  /** Where the list is. */
  readonly report: string;
}

type FailbackStep = Step<FailbackWorld>;

/** Percent of the clients, one after the other. */
export const canaryShares = [10, 25, 50, 75, 100] as const;

export function regionFailback(plan: FailbackPlan): Runbook<FailbackWorld> {
  const { target, former } = plan;
  return {
    id: 'region-failback',
    title: `Return to ${target}`,
    useWhen: [
      `${target} is well again after a failover to ${former}, and has been for long enough to be trusted`,
      `clients of ${target} should be served near them again`,
    ],
    doNotUseWhen: [
      `${target} is only just back: ${former} serves and writes, nothing is urgent`,
      `the cause of the failover is not known`,
      `${former} is failing now: use region-failover towards a region with a replica`,
    ],
    lookFirst: [
      {
        command: 'npx holdfast region status',
        expect: `${former} writes; ${target} answers, and is a standby or fenced`,
      },
      {
        command: 'npx holdfast region ready',
        expect: `${target} lacks nothing but its database, its lag and the claim's word for it`,
      },
    ],
    takes: `hours for a large database (building the replica), then five shares of ${plan.bakeSeconds} s each, then the minutes of a promotion. It may stop and be resumed anywhere`,
    harms: `those who are given to ${target} while a share is tried: it goes back to 0 % by itself when errors or latency rise. Changes of keys, budgets and configuration get 503 between closing ${former} and opening ${target}`,
    afterwards: [
      `${former} has no replica's database now: rebuild it, too, so that there is a standby again`,
      'apply by hand what the list of lost writes holds, if anything',
      'drill region-failover when the standby is ready',
    ],
    recoveredBy: 'open',
    steps: [
      fenced(plan),
      lostWrites(plan),
      rebuild(plan),
      caughtUp(plan),
      candidate(plan),
      capacityStep(target),
      weights(plan),
      ...canaryShares.flatMap((percent) => [shift(plan, percent), bake(plan, percent)]),
      giveBack(plan),
      rest(plan),
      lagStep(plan, plan.maxLagSeconds, 'in-turn'),
      closeStep(plan),
      replayedStep(plan),
      seizeStep(plan, { confirm: false, undo: giveRightBack(former) }),
      waitTransactionsStep(plan),
      promoteStep(plan, 'in-turn'),
      raiseStep(plan),
      openStep(plan),
      ...cacheSteps(target, plan.cache),
      verifyStep({ region: target, write: true }),
    ],
  };
}

const fenced = ({ target, former }: FailbackPlan): FailbackStep => {
  const check: FailbackStep['check'] = async (world, { signal }): Promise<Verdict> => {
    const claim = (await world.claims.read(signal)).agreed;
    if (claim === undefined) return { is: 'underway', note: 'too few buckets of the claim agree' };
    // This very run, interrupted late.
    if (claim.writer === target) return { is: 'done', note: `${target} has the right to write already` };
    if (claim.writer === former && claim.phase === 'held') return { is: 'done', facts: { epochBefore: claim.epoch } };
    return {
      is: 'blocked',
      because: `the claim names ${claim.writer} and is ${claim.phase}`,
      fix: `finish the run ${claim.run ?? ''} that changed it`,
    };
  };
  return lookStep({
    id: 'fenced',
    title: `See that ${former} writes and ${target} does not`,
    words: { check: `is the claim held by ${former}?` },
    patienceSeconds: 60,
    precondition: check,
    check,
  });
};

const lostWrites = ({ target, former }: FailbackPlan): FailbackStep => ({
  id: 'lost-writes',
  title: `List what only the old database of ${target} has`,
  words: {
    check: 'is there a list of the rows that the survivor lacks?',
    act: `snapshot the old database of ${target}, and list the rows newer than the last record that ${former} replayed`,
    canGoWrong: [
      'the old database is destroyed: the list says so, and the failover report has the upper bound of the loss',
      'the list is not empty: somebody applies it by hand; databases are never merged',
    ],
  },
  patienceSeconds: 3_600,
  check: async (world, { signal }) => {
    const found = await world.replicas.lostWrites(target, former, signal);
    if (found === undefined) return { is: 'ready' };
    return { is: 'done', facts: { lostWrites: found.count, report: found.report }, note: `${found.count} rows` };
  },
  act: (world, { signal, token }) => world.replicas.listLostWrites(target, former, token, signal),
  undo: { stays: 'a list harms nobody' },
});

const rebuild = ({ target, former }: FailbackPlan): FailbackStep => ({
  id: 'rebuild',
  title: `Build a new replica in ${target}`,
  words: {
    check: `is there a replica in ${target} that follows ${former}?`,
    act: 'raise `databaseGeneration` and set `databaseSource` in holdfast.config.ts, deploy the data stack',
    commands: [`npx cdk deploy DATA-STACK   # of ${target}`],
    canGoWrong: ['it takes as long as the database is large: hours are normal, and serving does not wait for it'],
  },
  patienceSeconds: 6 * 3_600,
  check: async (world, { signal }) => {
    const state = await world.replicas.view(target, former, signal);
    if (state === 'creating') return { is: 'underway', note: 'the replica is being built' };
    if (state === 'ready') return { is: 'done' };
    // Promoted since, by this very run: a replica no longer, and not to be built again.
    const claim = (await world.claims.read(signal)).agreed;
    return claim?.writer === target ? { is: 'done', note: `${target} writes already` } : { is: 'ready' };
  },
  act: (world, { signal, token }) => world.replicas.create(target, former, token, signal),
  undo: (world, { signal }) => world.replicas.remove(target, former, signal),
});

const caughtUp = ({ target, maxLagSeconds }: FailbackPlan): FailbackStep =>
  lookStep({
    id: 'caught-up',
    title: `Wait until the new replica in ${target} has caught up`,
    words: { check: `does it lag by at most ${maxLagSeconds} s?` },
    patienceSeconds: 3 * 3_600,
    check: async (world, { signal }) => {
      const { role, lagSeconds } = await world.database(target).view(signal);
      if (role !== 'replica') return { is: 'done', note: `it is ${role}` };
      const note = `it lags by ${lagSeconds ?? 'an unknown number of'} s`;
      return lagSeconds !== undefined && lagSeconds <= maxLagSeconds ? { is: 'done', note } : { is: 'underway', note };
    },
  });

const candidate = ({ target }: FailbackPlan): FailbackStep => ({
  id: 'candidate',
  title: `Make ${target} a candidate`,
  words: {
    check: `does the claim name ${target} among its candidates?`,
    act: 'compare-and-swap the claim; from now on spend leaves an outbox only when this replica shows it, too',
  },
  patienceSeconds: 60,
  check: async (world, { signal }) => {
    const claim = (await world.claims.read(signal)).agreed;
    if (claim === undefined) return { is: 'underway', note: 'too few buckets of the claim agree' };
    return claim.candidates.includes(target) || claim.writer === target ? { is: 'done' } : { is: 'ready' };
  },
  act: swapping((claim) => (claim.phase === 'held' ? withCandidate(claim, target) : undefined)),
  undo: swapping((claim) => (claim.phase === 'held' ? withoutCandidate(claim, target) : undefined)),
});

/** Percent of the clients that `target` gets now: shares divide them only while the takeover object lies in `former`. */
async function clientsOf(world: FailbackWorld, { target, former }: FailbackPlan, signal: AbortSignal): Promise<number> {
  if ((await world.traffic.takeover(former, signal)) === undefined) return 100;
  return (await world.shares.read(target, signal)) ?? 0;
}

const weights = ({ target, former }: FailbackPlan): FailbackStep => ({
  id: 'weights',
  title: `Give ${target} no clients yet`,
  words: {
    check: `are clients divided by shares, with none for ${target}, or all with it because nothing is taken over?`,
    act: `set the share of ${target} to 0 %`,
    canGoWrong: [`there is no takeover object in ${former}: ${target} has all clients since it is healthy again`],
  },
  patienceSeconds: 180,
  check: async (world, { signal }) => {
    if ((await world.traffic.takeover(former, signal)) === undefined) {
      return { is: 'done', note: `nothing is taken over: ${target} has all clients` };
    }
    const share = await world.shares.read(target, signal);
    return share === 0 ? { is: 'done', note: 'it has 0 %' } : { is: 'ready' };
  },
  act: (world, { signal }) => world.shares.set(target, 0, signal),
  undo: { stays: 'a share of 0 % is what stands in peace' },
});

const shift = (plan: FailbackPlan, percent: number): FailbackStep => ({
  id: `shift-${percent}`,
  title: `Give ${plan.target} ${percent} % of the clients`,
  words: {
    check: `does ${plan.target} have at least ${percent} %?`,
    act: `set the share of ${plan.target} to ${percent} %`,
    canGoWrong: ['resolvers keep old answers for a minute, clients their connections for as long as they like'],
  },
  patienceSeconds: 180,
  check: async (world, { signal }) => {
    const share = await clientsOf(world, plan, signal);
    return { is: share >= percent ? 'done' : 'ready', note: `it has ${share} %` };
  },
  act: (world, { signal }) => world.shares.set(plan.target, percent, signal),
  undo: (world, { signal }) => world.shares.set(plan.target, stepBelow(percent), signal),
});

const stepBelow = (percent: number): number => canaryShares.findLast((share) => share < percent) ?? 0;

/**
 * Only when the shares have given all clients back: the object is what divides them. Without it the other region counts as
 * healthy again, and has everybody at once.
 */
const giveBack = ({ target, former }: FailbackPlan): FailbackStep => ({
  id: 'give-back',
  title: `Take the takeover object away from ${former}`,
  words: {
    check: `is there no takeover object in ${former}?`,
    act: `delete it, and read back that it is gone; ${target} serves because it is healthy, no longer by its share`,
  },
  patienceSeconds: 120,
  check: async (world, { signal }) => {
    const run = await world.traffic.takeover(former, signal);
    return run === undefined ? { is: 'done' } : { is: 'ready', note: `the run ${run} has put it` };
  },
  act: (world, { signal }) => world.traffic.giveBack(former, signal),
  undo: async (world, { signal, runId }) => {
    const { newest } = await world.claims.read(signal);
    await world.traffic.takeOver(former, runId, newest?.epoch ?? 0, signal);
  },
});

/** Until then the next takeover would give clients to the region that it takes them from. */
const rest = ({ target, former }: FailbackPlan): FailbackStep => ({
  id: 'rest',
  title: `Leave no share to ${target} for the next takeover`,
  words: {
    check: `is the share of ${target} 0 % while nothing is taken over?`,
    act: `set the share of ${target} to 0 %; it decides nothing without a takeover object`,
  },
  patienceSeconds: 180,
  check: async (world, { signal }): Promise<Verdict> => {
    if ((await world.traffic.takeover(former, signal)) !== undefined) {
      return { is: 'blocked', because: `there is a takeover object in ${former} again`, fix: 'see which run put it' };
    }
    return { is: (await world.shares.read(target, signal)) === 0 ? 'done' : 'ready' };
  },
  act: (world, { signal }) => world.shares.set(target, 0, signal),
  undo: (world, { signal }) => world.shares.set(target, 100, signal),
});

const bake = (plan: FailbackPlan, percent: number): FailbackStep =>
  bakeStep<FailbackWorld>({
    id: `bake-${percent}`,
    title: `Watch ${plan.target} with ${percent} % of the clients`,
    region: plan.target,
    bakeSeconds: plan.bakeSeconds,
    limits: plan.gate ?? defaultGate,
    isThere: async (world, { signal }) => {
      const share = await clientsOf(world, plan, signal);
      return share >= percent
        ? { is: 'done' }
        : {
            is: 'blocked',
            because: `${plan.target} has ${share} % only: it was set back`,
            fix: 'find the cause, then begin a new run; what stands is found done',
          };
    },
    stepBack: (world, { signal }) => world.shares.set(plan.target, 0, signal),
    stepBackWords: `all clients go back to ${plan.former}`,
  });
