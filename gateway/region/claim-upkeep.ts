/** Changes of the claim that move no right to write to another region. Pure, like the transitions in `claim.ts`. */
import type { Claim } from './claim.ts';

/**
 * A new epoch for the region that is the writer already: after its database was closed or replaced, so that acts of the
 * old epoch come too late. Undefined when another region has the right, or is being given it.
 */
export const renewedEpoch = (claim: Claim, run: string, writer: string): Claim | undefined =>
  claim.writer === writer && claim.phase === 'held'
    ? { ...claim, epoch: claim.epoch + 1, phase: 'seized', run, sequence: claim.sequence + 1 }
    : undefined;

/** A replica that an unplanned failover may promote. Undefined = it is one already. */
export const withCandidate = (claim: Claim, region: string): Claim | undefined =>
  claim.candidates.includes(region)
    ? undefined
    : { ...claim, candidates: [...claim.candidates, region], sequence: claim.sequence + 1 };

export const withoutCandidate = (claim: Claim, region: string): Claim | undefined =>
  claim.candidates.includes(region)
    ? { ...claim, candidates: claim.candidates.filter((one) => one !== region), sequence: claim.sequence + 1 }
    : undefined;
