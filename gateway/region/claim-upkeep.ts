/** Changes of the claim that move no right to write to another region. Pure, like the transitions in `claim.ts`. */
import type { Claim, DatabaseView } from './claim.ts';

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

export type Beginning =
  /** The first claim, or the one that lies there: whoever lacks it gets it. */
  { readonly is: 'claim'; readonly claim: Claim } | { readonly is: 'refuse'; readonly because: string };

/** The claim with which an installation of several regions begins; `claim` is what lies in the buckets already. */
export function begun(
  claim: Claim | undefined,
  { isPrimary, row }: DatabaseView,
  region: string,
  candidates: readonly string[],
  ttlSeconds: number,
): Beginning {
  const refuse = (because: string): Beginning => ({ is: 'refuse', because });
  if (!isPrimary) return refuse('the database is a replica');
  if (row.writer !== region) return refuse(`the database's row names ${row.writer} in epoch ${row.epoch}`);
  if (candidates.includes(region)) return refuse(`${region} cannot be a candidate for its own place`);
  if (claim === undefined) {
    const first = { epoch: row.epoch, writer: region, phase: 'held', run: null, sequence: 0 } as const;
    return { is: 'claim', claim: { ...first, candidates: [...candidates], ttlSeconds } };
  }
  if (claim.writer !== region || claim.epoch !== row.epoch || claim.phase !== 'held') {
    return refuse(
      `a claim is there: ${claim.writer} in epoch ${claim.epoch}, ${claim.phase}; the database's row says ${row.writer} in epoch ${row.epoch}`,
    );
  }
  return { is: 'claim', claim };
}
