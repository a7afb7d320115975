/**
 * Unplanned failover: the writer's region is gone, or cut off, and another one becomes the writer. Serving does not wait
 * for it: traffic moves first, on the data plane, to gateways that stand already. Then the right to write moves: claim,
 * wait, promotion, row, opening. Every act is a compare-and-swap, or harmless when it comes twice or too late.
 */
import { type Claim, opened, seizure } from '../../gateway/region/claim.ts';
import type { ClaimReading } from '../../gateway/region/claim-store.ts';
import { waitSeconds } from '../../gateway/region/right-to-write.ts';
import type { Runbook, Step, StepContext, Verdict } from '../engine/step.ts';
import type { RegionWorld } from './region-world.ts';

export interface FailoverPlan {
  /** The region that becomes the writer. */
  readonly target: string;
  /** The region that is given up. */
  readonly former: string;
}

type FailoverStep = Step<RegionWorld>;

const closePatienceMs = 5_000;
/** The region that is failed over from need not answer. */
const ignoreGone = (): void => undefined;

export function regionFailover(plan: FailoverPlan): Runbook<RegionWorld> {
  const { target, former } = plan;
  return {
    id: 'region-failover',
    title: `Fail over to ${target}`,
    useWhen: [
      `${former} is lost or cut off, and you do not expect it back within the recovery time objective`,
      `control-plane writes must go on (keys, budgets, configuration) while ${former} is away`,
    ],
    doNotUseWhen: [
      `${former} works: use region-switchover, which loses nothing`,
      'only a zone, a process or a provider is down: gateways and databases recover from these by themselves',
      `only traffic should leave ${former}: move the traffic alone; every region serves in every state`,
    ],
    recoveredBy: 'open',
    steps: [
      capacity(plan),
      traffic(plan),
      seize(plan),
      waitLeaseOut(plan),
      promote(plan),
      raise(plan),
      open(plan),
      verify(plan),
    ],
  };
}

const capacity = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'capacity',
  title: `Make ${target} large enough for all of the load`,
  words: {
    check: `are as many gateway pods ready in ${target} as the load needs?`,
    act: `raise the number of gateway pods in ${target}`,
    canGoWrong: ['nodes are not to be had: go on with what is ready, and shed load by priority'],
  },
  patienceSeconds: 300,
  check: async (world, { signal }) => {
    const { ready, needed } = await world.capacity.read(target, signal);
    const note = `${ready} of ${needed} pods are ready`;
    return ready >= needed ? { is: 'done', note } : { is: 'ready', note };
  },
  act: async (world, { signal }) => {
    const { needed } = await world.capacity.read(target, signal);
    await world.capacity.raise(target, needed, signal);
  },
  undo: async () => undefined,
});

const traffic = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'traffic',
  title: `Move traffic to ${target}`,
  words: {
    check: `is the takeover object in ${target} this run's?`,
    act: `put the takeover object in ${target}; the health checks of the other region see it and fail`,
    canGoWrong: ['the object cannot be put: change the DNS records, which needs the control plane in us-east-1'],
  },
  patienceSeconds: 60,
  check: async (world, { signal, runId }) => {
    const run = await world.traffic.takeover(target, signal);
    if (run === undefined) return { is: 'ready' };
    return run === runId ? { is: 'done' } : { is: 'done', note: `the run ${run} has put it` };
  },
  act: async (world, { signal, runId }) => {
    const { newest } = await world.claims.read(signal);
    await world.traffic.takeOver(target, runId, newest?.epoch ?? 0, signal);
  },
  undo: (world, { signal }) => world.traffic.giveBack(target, signal),
});

const seize = ({ target, former }: FailoverPlan): FailoverStep => ({
  id: 'seize',
  title: `Seize the right to write for ${target}`,
  words: {
    check: `does a majority of the claim's buckets say that a run is promoting ${target}, or that ${target} writes?`,
    act: `compare-and-swap the claim: next epoch, writer ${target}, phase seized; from here on ${former} cannot renew`,
    canGoWrong: [
      'another operator is promoting another region: resume or abort that run, nothing is done here',
      'too few buckets answer: wait for them; without a majority nobody may write',
    ],
  },
  patienceSeconds: 120,
  confirm: target,
  precondition: async (world, { signal }) => {
    const reading = await world.claims.read(signal);
    if (!reading.isMajority)
      return { is: 'blocked', because: 'too few buckets of the claim answer', fix: unheard(reading) };
    return reading.newest === undefined
      ? { is: 'blocked', because: 'there is no claim', fix: 'holdfast region init makes it' }
      : { is: 'ready' };
  },
  check: async (world, { signal, runId }) => {
    const reading = await world.claims.read(signal);
    const claim = reading.agreed;
    if (claim?.writer === target) return { is: 'done', facts: claimFacts(claim), note: `epoch ${claim.epoch}` };
    const wanted = reading.newest && seizure(reading.newest, runId, target);
    if (wanted === undefined) return { is: 'underway', note: 'the claim cannot be read' };
    if (wanted.is === 'refuse') return { is: 'blocked', because: wanted.because };
    return reading.isMajority ? { is: 'ready' } : { is: 'underway', note: unheard(reading) };
  },
  act: async (world, context) => {
    const { signal, runId } = context;
    // The writer renews all the time: whoever loses against it reads and tries again, until patience ends.
    for (;;) {
      const reading = await world.claims.read(signal);
      const wanted = reading.newest && seizure(reading.newest, runId, target);
      if (wanted === undefined || wanted.is === 'refuse') return;
      const result = await world.claims.swap(reading, wanted.claim, signal);
      if (result.is !== 'lost') return;
      signal.throwIfAborted();
    }
  },
  undo: {
    irreversible: `epochs never go back; to return to ${former}, run region-failback, or abort before the promotion`,
  },
});

const waitLeaseOut = ({ target, former }: FailoverPlan): FailoverStep => ({
  id: 'wait',
  title: `Wait until ${former} cannot acknowledge a write any more`,
  words: {
    check: 'nothing to look at: clocks of different machines are not compared',
    act: `wait the lease out, with a margin for clocks, and meanwhile try to close ${former}'s row`,
    verify: 'the full time has passed in this process',
  },
  patienceSeconds: 120,
  repeatedOnResume: true,
  check: async () => ({ is: 'ready' }),
  act: async (world, { signal, facts }) => {
    const ttlSeconds = Number(facts('seize')['ttlSeconds']);
    // The wait alone is enough. A former writer that still lives refuses sooner when its row is closed; mostly it is gone.
    await Promise.all([
      world.wait(waitSeconds(ttlSeconds), signal),
      world
        .database(former)
        .close(AbortSignal.any([signal, AbortSignal.timeout(closePatienceMs)]))
        .catch(ignoreGone),
    ]);
  },
  verify: async (): Promise<Verdict> => ({ is: 'done', note: `${target} may be promoted` }),
  undo: async () => undefined,
});

const promote = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'promote',
  title: `Promote the database of ${target}`,
  words: {
    check: `is the database of ${target} a primary, a replica, or being promoted?`,
    act: `update the data stack of ${target} with RegionRole=primary, parameters only`,
    canGoWrong: [
      'the promotion takes minutes: it is waited for, and never asked for twice',
      'it was promoted by accident before: it takes nothing until its row is raised, so nothing is lost',
    ],
  },
  patienceSeconds: 1_800,
  confirm: target,
  precondition: async (world, { signal }) => {
    const { role, lagSeconds } = await world.database(target).view(signal);
    const note = role === 'replica' ? `the replica lags by ${lagSeconds ?? 'an unknown number of'} s` : `it is ${role}`;
    return { is: 'ready', note };
  },
  check: async (world, context) => {
    const { signal } = context;
    // The promotion itself knows no epoch: an operator who comes back late must not promote what is a replica again.
    const { newest } = await world.claims.read(signal);
    const epoch = epochOf(context);
    if (newest !== undefined && newest.epoch > epoch) {
      return { is: 'blocked', because: `the claim is of epoch ${newest.epoch} by now, this run's is ${epoch}` };
    }
    const { role, lagSeconds } = await world.database(target).view(signal);
    if (role === 'primary') return { is: 'done' };
    if (role === 'being-promoted') return { is: 'underway', note: 'the promotion is under way' };
    return { is: 'ready', note: `a replica that lags by ${lagSeconds ?? 'an unknown number of'} s` };
  },
  act: (world, { signal, token }) => world.database(target).promote(token, signal),
  undo: { irreversible: 'a promoted database cannot become a replica again; region-failback builds a new one' },
});

const raise = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'raise',
  title: `Write the epoch into the database of ${target}`,
  words: {
    check: `does the row of ${target} name ${target} and the claim's epoch?`,
    act: "set the row to the claim's epoch and writer, if its epoch is lower",
    canGoWrong: ['the row has a higher epoch: another run was later than this one, which then stops'],
  },
  patienceSeconds: 60,
  check: async (world, context) => {
    const epoch = epochOf(context);
    const { row } = await world.database(target).view(context.signal);
    if (row.epoch === epoch && row.writer === target) return { is: 'done' };
    if (row.epoch >= epoch)
      return { is: 'blocked', because: `the row is of epoch ${row.epoch} and names ${row.writer}` };
    return { is: 'ready' };
  },
  act: (world, context) => world.database(target).raise(epochOf(context), target, context.signal),
  undo: { irreversible: 'epochs never go back' },
});

const open = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'open',
  title: `Open the epoch: ${target} writes`,
  words: {
    check: `is the claim held by ${target}?`,
    act: 'compare-and-swap the claim from seized to held, without candidates',
    canGoWrong: ['the claim has moved on: a later run has the right to write, and this one stops'],
  },
  patienceSeconds: 60,
  check: async (world, context) => {
    const claim = (await world.claims.read(context.signal)).agreed;
    const epoch = epochOf(context);
    if (claim === undefined) return { is: 'underway', note: 'too few buckets of the claim agree' };
    if (claim.epoch !== epoch) return { is: 'blocked', because: `the claim is of epoch ${claim.epoch} by now` };
    return claim.phase === 'held' ? { is: 'done' } : { is: 'ready' };
  },
  act: async (world, context) => {
    const { signal } = context;
    const reading = await world.claims.read(signal);
    const { row } = await world.database(target).view(signal);
    const claim = reading.agreed && opened(reading.agreed, epochOf(context), row);
    if (claim !== undefined) await world.claims.swap(reading, claim, signal);
  },
  undo: { irreversible: 'the new writer may have acknowledged writes; region-failback returns in order' },
});

const verify = ({ target }: FailoverPlan): FailoverStep => ({
  id: 'verify',
  title: `See that ${target} serves and writes`,
  words: {
    check: `does ${target} answer a completion, and acknowledge a control-plane write that can be read back?`,
    act: 'nothing: this only looks',
  },
  patienceSeconds: 120,
  check: async (world, { signal }) => {
    const { completion, write, faults } = await world.probe(target, signal);
    return completion && write ? { is: 'done' } : { is: 'underway', note: faults.join('; ') };
  },
  act: async () => undefined,
  undo: async () => undefined,
});

const claimFacts = ({ epoch, writer, run, ttlSeconds }: Claim) => ({ epoch, writer, run, ttlSeconds });

const epochOf = ({ facts }: StepContext): number => Number(facts('seize')['epoch']);

const unheard = (reading: ClaimReading): string =>
  reading.unheard.map(({ bucket, because }) => `${bucket}: ${because}`).join('; ');
