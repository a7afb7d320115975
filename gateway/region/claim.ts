/**
 * The claim: the one authority over which region may write. An object in one or three buckets, changed only by
 * compare-and-swap. Pure transitions; the gateways' keeper and the runbooks do what these return, the exhaustive model
 * in the tests explores them.
 */
import { z } from 'zod';

export const claimSchema = z.object({
  /** Names one writer region each. Rises with every change of the writer, and is allotted here alone. */
  epoch: z.int().min(1),
  writer: z.string().min(1),
  /** `held`: the writer renews. `seized`: a run is promoting `writer`, and nobody renews. */
  phase: z.enum(['held', 'seized']),
  /** The run that seized it; null in the first epoch. */
  run: z.string().nullable(),
  /** Replicas that an unplanned failover may promote. */
  candidates: z.array(z.string()),
  /** Rises with every write: equal contents may have equal ETags, and a compare-and-swap would pass wrongly. */
  sequence: z.int().min(0),
  /** How long a renewal is good for. */
  ttlSeconds: z.number().positive(),
});

export type Claim = z.output<typeof claimSchema>;

/** The row `region_epoch` of one database: the claim's epoch, copied. */
export interface RegionRow {
  readonly epoch: number;
  readonly writer: string;
  readonly state: 'open' | 'closed';
}

/** What a database says of itself. Not being in recovery never suffices: a replica may have been promoted by accident. */
export interface DatabaseView {
  readonly isPrimary: boolean;
  readonly row: RegionRow;
}

/** The claim that the writer's keeper may put; undefined = it has no right to renew. */
export function renewed(claim: Claim, region: string, database: DatabaseView): Claim | undefined {
  const { row, isPrimary } = database;
  const isOurs = claim.phase === 'held' && claim.writer === region;
  if (!isOurs || !isPrimary || row.epoch !== claim.epoch || row.writer !== region) return undefined;
  return { ...claim, sequence: claim.sequence + 1 };
}

export type Seizure =
  | { readonly is: 'seize'; readonly claim: Claim }
  /** Another operator began the same: his run and epoch are gone on with. */
  | { readonly is: 'adopt'; readonly claim: Claim }
  | { readonly is: 'refuse'; readonly because: string };

/** What a run does to promote `target`. */
export function seizure(claim: Claim, run: string, target: string): Seizure {
  if (claim.phase === 'held') {
    if (claim.writer === target) return { is: 'refuse', because: `${target} is the writer already` };
    return { is: 'seize', claim: seizedBy(claim, run, target) };
  }
  if (claim.writer === target) return { is: 'adopt', claim };
  return {
    is: 'refuse',
    because: `the run ${claim.run ?? 'of an earlier epoch'} is promoting ${claim.writer}; resume it, or take it back first`,
  };
}

/** Before the target is promoted, a run may give the right back: with a new epoch, so that late acts of the old one fail. */
export function abortion(claim: Claim, run: string, formerWriter: string): Claim | undefined {
  return claim.phase === 'seized' && claim.writer !== formerWriter ? seizedBy(claim, run, formerWriter) : undefined;
}

const seizedBy = (claim: Claim, run: string, writer: string): Claim => ({
  ...claim,
  epoch: claim.epoch + 1,
  writer,
  phase: 'seized',
  run,
  sequence: claim.sequence + 1,
});

/** The row of a promoted database, taken from the claim and never counted up from itself. Repeating it changes nothing. */
export const raised = (row: RegionRow, epoch: number, writer: string): RegionRow =>
  row.epoch < epoch ? { epoch, writer, state: 'open' } : row;

/** The claim with which the target begins to write; undefined = this run may not open (any more). */
export function opened(claim: Claim, epoch: number, row: RegionRow): Claim | undefined {
  const isThisRun = claim.phase === 'seized' && claim.epoch === epoch;
  if (!isThisRun || row.epoch !== epoch || row.writer !== claim.writer) return undefined;
  // There is no replica of the new writer yet.
  return { ...claim, phase: 'held', candidates: [], sequence: claim.sequence + 1 };
}

/** A higher epoch overwrites a lower one, never the reverse. */
export const newest = (claims: readonly Claim[]): Claim | undefined =>
  claims.reduce<Claim | undefined>(
    (best, claim) =>
      best === undefined || claim.epoch > best.epoch || (claim.epoch === best.epoch && claim.sequence > best.sequence)
        ? claim
        : best,
    undefined,
  );
