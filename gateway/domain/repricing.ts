import type { UsageDetail } from './usage-detail.ts';

/** Rows of the ledger whose cost was not known when they were written, and what becomes of them. */
export interface UnpricedEntry {
  /** `YYYY-MM-DD`, with the id its name in the ledger. */
  readonly day: string;
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly atMs: number;
  readonly operation: string | null;
  readonly modelGroup: string | null;
  readonly deploymentId: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** Null = nobody counted them. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
  /** Null = there was nothing else, or an older gateway wrote the row. Undefined = it cannot be read. */
  readonly usageDetail: UsageDetail | null | undefined;
}

/** Millionths of a dollar by the prices of today's configuration; null = still unknown. */
export type PriceEntry = (entry: UnpricedEntry) => bigint | null;

/** Where a look at the ledger goes on: behind this row. */
export interface LedgerPlace {
  readonly day: string;
  readonly id: string;
}

export interface Repriced {
  /** Rows that were looked at, those that have a cost now, and what they cost together. */
  readonly seen: number;
  readonly priced: number;
  readonly micros: bigint;
  /** Undefined = there are no more. */
  readonly next: LedgerPlace | undefined;
}

/** Rows of one transaction: few enough that nobody waits long for the accounts that it holds. */
export const mostRepricedAtOnce = 1_000;
