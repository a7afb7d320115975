/** Steps that move the right to write. Every act is a compare-and-swap, or harmless when it comes twice or too late. */
import { type Claim, opened, type RegionRow, seizure } from '../../../gateway/region/claim.ts';
import type { ClaimReading, SwapResult } from '../../../gateway/region/claim-store.ts';
import { waitSeconds } from '../../../gateway/region/right-to-write.ts';
import type { Act, Step, StepContext, Undo, Verdict } from '../../engine/step.ts';
import type { PromotionWay, RegionWorld } from '../region-world.ts';

export interface RegionPlan {
  /** The region that becomes the writer. */
  readonly target: string;
  /** The region that is the writer until then. */
  readonly former: string;
  /** `stack` if not given. */
  readonly promoteWith?: PromotionWay;
  /** What happens when the claim does not name the target among its candidates; `refuse` if not given. */
  readonly unlisted?: 'refuse' | 'promote';
}

type RegionStep = Step<RegionWorld>;

const closePatienceMs = 5_000;
/** The region that is failed over from need not answer. */
const ignoreGone = (): void => undefined;

export interface SeizeOptions {
  readonly confirm: boolean;
  /** Only a candidate may be promoted: for it alone do outboxes keep what its replica lacks. */
  readonly candidatesOnly?: boolean;
  readonly undo: Undo<RegionWorld>;
}

export const seizeStep = (
  { target, former }: RegionPlan,
  { confirm, candidatesOnly = false, undo }: SeizeOptions,
): RegionStep => ({
  id: 'seize',
  title: `Seize the right to write for ${target}`,
  words: {
    check: `does a majority of the claim's buckets say that a run is promoting ${target}, or that ${target} writes?`,
    act: `compare-and-swap the claim: next epoch, writer ${target}, phase seized; from here on ${former} cannot renew`,
    commands: [
      'npx holdfast region status',
      '# Without this program, in every bucket of the claim, two of three are a majority: CLAIM-BUCKETS',
      "aws s3api get-object --bucket CLAIM-BUCKET --key claim.json claim.json   # says the object's ETag",
      `# In claim.json: epoch one more, writer "${target}", phase "seized", run "by-hand", sequence one more`,
      "aws s3api put-object --bucket CLAIM-BUCKET --key claim.json --body claim.json --if-match 'ETAG'",
    ],
    takeBack: `gives the right back to ${former} with a new epoch; needs its database to answer, and works until the promotion`,
    canGoWrong: [
      'another operator is promoting another region: resume that run or take it back, nothing is done here',
      'too few buckets answer: wait for them; without a majority nobody may write',
      ...(candidatesOnly
        ? [`${target} is no candidate: promote one that is; \`unlisted=promote\` is for when nothing else is left`]
        : []),
    ],
  },
  patienceSeconds: 120,
  ...(confirm ? { confirm: target } : {}),
  precondition: async (world, { signal, runId }) => {
    const reading = await world.claims.read(signal);
    if (!reading.isMajority)
      return { is: 'blocked', because: 'too few buckets of the claim answer', fix: unheard(reading) };
    if (reading.newest === undefined) {
      return { is: 'blocked', because: 'there is no claim', fix: 'holdfast region init makes it' };
    }
    const wanted = seizure(reading.newest, runId, target);
    // Nor may traffic move for a region that another run does not promote.
    if (wanted.is === 'refuse' && reading.newest.writer !== target) return { is: 'blocked', because: wanted.because };
    return (candidatesOnly ? unlisted(reading.newest, target) : undefined) ?? { is: 'ready' };
  },
  check: async (world, { signal, runId }) => {
    const reading = await world.claims.read(signal);
    const claim = reading.agreed;
    if (claim?.writer === target) return { is: 'done', facts: claimFacts(claim), note: `epoch ${claim.epoch}` };
    const wanted = reading.newest && seizure(reading.newest, runId, target);
    if (wanted === undefined) return { is: 'underway', note: 'the claim cannot be read' };
    if (wanted.is === 'refuse') return { is: 'blocked', because: wanted.because };
    const refused = candidatesOnly && reading.newest !== undefined ? unlisted(reading.newest, target) : undefined;
    if (refused !== undefined) return refused;
    return reading.isMajority ? { is: 'ready' } : { is: 'underway', note: unheard(reading) };
  },
  act: swapping((claim, { runId }) => {
    const wanted = seizure(claim, runId, target);
    return wanted.is === 'refuse' ? undefined : wanted.claim;
  }),
  undo,
});

/** Undefined = the target may be promoted, or somebody has decided on it before. */
const unlisted = (claim: Claim, target: string): Verdict | undefined =>
  claim.phase === 'seized' || claim.writer === target || claim.candidates.includes(target)
    ? undefined
    : {
        is: 'blocked',
        because: `${target} is no candidate (the claim names ${claim.candidates.join(', ') || 'none'}): outboxes have not kept the spend that its replica may lack`,
        fix: `promote a candidate, or take the loss on yourself: npx holdfast runbook run region-failover target=${target} unlisted=promote`,
      };

/** In doubt for longer than the writer's renewals and a slow bucket explain: the run ends, and may be resumed. */
const mostSwaps = 20;
const betweenSwapsSeconds = 0.2;

/**
 * Changes the claim by compare-and-swap. The writer renews all the time: whoever loses against it reads and decides anew. So
 * does who cannot tell, which is also what it looks like when the writer was faster by a moment.
 * @param next undefined = the claim is as it shall be. What it throws ends the act.
 * @param by `newest` = what any bucket shows, for who takes the right; `agreed` = what a majority shows, for who has it.
 */
export function swapping(
  next: (claim: Claim, context: StepContext) => Claim | undefined,
  by: 'newest' | 'agreed' = 'newest',
): Act<RegionWorld> {
  return async (world, context) => {
    for (let count = 1; ; count++) {
      const reading = await world.claims.read(context.signal);
      const claim = reading[by];
      const result =
        claim === undefined ? unread(reading) : await swapped(world, reading, next(claim, context), context);
      if (result.is === 'done') return;
      context.signal.throwIfAborted();
      if (result.is === 'lost') continue;
      if (count >= mostSwaps) throw new Error(`the claim could not be changed: ${result.because}`);
      await world.wait(betweenSwapsSeconds, context.signal);
    }
  };
}

const swapped = async (
  { claims }: RegionWorld,
  reading: ClaimReading,
  wanted: Claim | undefined,
  { signal }: StepContext,
): Promise<SwapResult> => (wanted === undefined ? { is: 'done' } : claims.swap(reading, wanted, signal));

const unread = (reading: ClaimReading): SwapResult => ({
  is: 'unknown',
  because: unheard(reading) || 'its buckets disagree, or hold none',
});

/** The claim with which the epoch's writer begins; undefined = it has begun. @throws when the right has moved on. */
export function openedOrHeld(claim: Claim, epoch: number, row: RegionRow): Claim | undefined {
  if (claim.epoch !== epoch) {
    throw new Error(`the claim is of epoch ${claim.epoch} by now and names ${claim.writer}, this run's is ${epoch}`);
  }
  if (claim.phase === 'held') return undefined;
  const next = opened(claim, epoch, row);
  if (next === undefined) {
    throw new Error(`the row is of epoch ${row.epoch} and names ${row.writer}, the claim of ${epoch} ${claim.writer}`);
  }
  return next;
}

export const waitLeaseOutStep = ({ target, former }: RegionPlan): RegionStep => ({
  id: 'wait',
  title: `Wait until ${former} cannot acknowledge a write any more`,
  words: {
    check: 'nothing to look at: clocks of different machines are not compared',
    act: `wait the lease out, with a margin for clocks (18 s with a lease of 15 s), and meanwhile try to close ${former}'s row`,
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
      former === target
        ? undefined
        : world
            .database(former)
            .close(AbortSignal.any([signal, AbortSignal.timeout(closePatienceMs)]))
            .catch(ignoreGone),
    ]);
  },
  verify: async (world, { signal }): Promise<Verdict> => {
    const note = `${target} may be promoted`;
    // Nothing more can be acknowledged elsewhere, so what the replica lacks now is all that can be lost. A promotion does
    // not wait for who cannot tell.
    const seen = former === target ? undefined : await world.database(target).view(signal).catch(ignoreGone);
    const lost = seen?.role === 'replica' ? seen.lagSeconds : undefined;
    return { is: 'done', note, ...(lost === undefined ? {} : { facts: { dataLossSeconds: lost } }) };
  },
  undo: { stays: 'time has passed' },
});

/** @param when `at-start` = its database must answer before the run's first act; else there is none of it yet. */
export const promoteStep = (
  { target, promoteWith = 'stack' }: RegionPlan,
  when: 'at-start' | 'in-turn',
): RegionStep => ({
  id: 'promote',
  title: `Promote the database of ${target}`,
  words: {
    check: `is the database of ${target} a primary, a replica, or being promoted?`,
    act:
      promoteWith === 'stack'
        ? `update the data stack of ${target} with RegionRole=primary, parameters only`
        : 'ask the RDS API; the stack learns of it afterwards (DbPromotion=external)',
    verify: `is it a primary? The command answers at once, the promotion takes minutes (aws rds describe-db-instances shows it: no source, "available")`,
    commands: [
      promoteWith === 'stack'
        ? `aws cloudformation update-stack --region ${target} --stack-name DATA-STACK --use-previous-template --disable-rollback --parameters ParameterKey=RegionRole,ParameterValue=primary ParameterKey=DbPromotion,UsePreviousValue=true`
        : `aws rds promote-read-replica --region ${target} --db-instance-identifier DATABASE`,
    ],
    canGoWrong: [
      'the promotion takes minutes: it is waited for, and never asked for twice',
      'it was promoted by accident before: it takes nothing until its row is raised, so nothing is lost',
      'the stack cannot be updated: run with `promoteWith=rds`, which asks the RDS API, and set DbPromotion=external afterwards',
    ],
  },
  patienceSeconds: 1_800,
  confirm: target,
  ...(when === 'in-turn'
    ? {}
    : {
        precondition: async (world, { signal }) => {
          const { role, lagSeconds } = await world.database(target).view(signal);
          const lag = `the replica lags by ${lagSeconds ?? 'an unknown number of'} s`;
          return { is: 'ready', note: role === 'replica' ? lag : `it is ${role}` };
        },
      }),
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
  act: (world, { signal, token }) => world.database(target).promote(token, signal, promoteWith),
  undo: { irreversible: 'a promoted database cannot become a replica again; region-failback builds a new one' },
});

export const raiseStep = ({ target }: RegionPlan): RegionStep => ({
  id: 'raise',
  title: `Write the epoch into the database of ${target}`,
  words: {
    check: `does the row of ${target} name ${target} and the claim's epoch?`,
    act: "set the row to the claim's epoch and writer, if its epoch is lower",
    commands: [
      `# With the address of the database in ${target}; EPOCH is the one that you wrote into the claim.`,
      `psql "$DATABASE_URL" -c "UPDATE region_epoch SET epoch = EPOCH, writer_region = '${target}', state = 'open' WHERE epoch < EPOCH"`,
    ],
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

export const openStep = ({ target }: RegionPlan): RegionStep => ({
  id: 'open',
  title: `Open the epoch: ${target} writes`,
  words: {
    check: `is the claim held by ${target}?`,
    act: 'compare-and-swap the claim from seized to held, without candidates',
    commands: [
      '# In the same buckets as before: CLAIM-BUCKETS',
      'aws s3api get-object --bucket CLAIM-BUCKET --key claim.json claim.json',
      '# In claim.json: phase "held", candidates [], sequence one more; epoch and writer stay',
      "aws s3api put-object --bucket CLAIM-BUCKET --key claim.json --body claim.json --if-match 'ETAG'",
    ],
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
    const { row } = await world.database(target).view(signal);
    await swapping((claim) => openedOrHeld(claim, epochOf(context), row), 'agreed')(world, context);
  },
  undo: { irreversible: 'the new writer may have acknowledged writes; region-failback returns in order' },
});

export const claimFacts = ({ epoch, writer, run, ttlSeconds }: Claim) => ({ epoch, writer, run, ttlSeconds });

/** Of this run, as it was found or made by `seize`. */
export const epochOf = ({ facts }: StepContext): number => Number(facts('seize')['epoch']);

export const unheard = (reading: ClaimReading): string =>
  reading.unheard.map(({ bucket, because }) => `${bucket}: ${because}`).join('; ');
