/** Who may write what, where. The same conditions stand in SQL (`begin_control_write`), inside the write's transaction. */
import type { DatabaseView } from './claim.ts';

/** The writer's right to write, as far as it reaches. */
export interface Lease {
  readonly epoch: number;
}

/** A control-plane write may begin. */
export const mayBegin = ({ isPrimary, row }: DatabaseView, region: string, lease: Lease | undefined): boolean =>
  isPrimary && row.state === 'open' && row.writer === region && lease?.epoch === row.epoch;

/** The transaction may commit: checked inside it, with the row locked. */
export const mayCommit = ({ isPrimary, row }: DatabaseView, region: string, epoch: number): boolean =>
  isPrimary && row.epoch === epoch && row.state === 'open' && row.writer === region;

/** After the commit, before the answer: a commit can hang, and the lease may have lapsed meanwhile. */
export const mayAcknowledge = (lease: Lease | undefined, epoch: number): boolean => lease?.epoch === epoch;

/** Spend needs no lease: what a doomed primary takes is still in the outbox. */
export const mayIngest = ({ isPrimary, row }: DatabaseView, region: string): boolean =>
  isPrimary && row.writer === region;

/**
 * An outbox may forget an event when every candidate replica shows it. A local commit is not enough, and comparing
 * positions in the write-ahead log is wrong: after a promotion those of two timelines overlap.
 * @param applied positions of this log, read on each candidate; none = there is no replica yet: only what is in an archive
 * outside this region is forgotten.
 */
export const mayForget = (position: number, applied: readonly number[], isArchived = false): boolean =>
  applied.length > 0 ? applied.every((through) => through >= position) : isArchived;

/** Longest a run has to wait after it seized: the lease, rate drift of clocks of 1 %, and a step of the database's clock. */
export const waitSeconds = (ttlSeconds: number): number => Math.ceil(ttlSeconds * 1.01 + 2);

/** When things happen in a region, all from the length of its lease. */
export interface LeaseTiming {
  /** Between two renewals. */
  readonly renewSeconds: number;
  /** What the lease must have left when a write begins. */
  readonly marginMs: number;
  /** A write that takes longer is ended by the database: it fits into the margin. */
  readonly transactionMs: number;
}

export const timingOf = (ttlSeconds: number): LeaseTiming => ({
  renewSeconds: ttlSeconds / 3,
  marginMs: Math.floor((ttlSeconds * 1000) / 3),
  transactionMs: Math.floor((ttlSeconds * 800) / 3),
});

/** Of a region that no claim says anything else of. */
export const usualTtlSeconds = 15;

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/**
 * First statement of a control-plane write: the conditions of `mayCommit`, with the row locked until the commit.
 * @param epoch undefined = whichever the database is in: there is one region only, and nobody else could have another.
 * @returns a statement whose one row has `lease_ms`, what is left of the right to write.
 */
export const beginControlWrite = (epoch: number | undefined, region: string, marginMs: number): Statement => ({
  text: `SELECT w.epoch, begin_control_write(w.epoch, $2, make_interval(secs => $3)) AS lease_ms
    FROM (SELECT coalesce($1, (SELECT epoch FROM region_epoch)) AS epoch) AS w`,
  values: [epoch ?? null, region, marginMs / 1000],
});
