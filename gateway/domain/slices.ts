/**
 * Slices: what a process holds of an account, and who can be asked for more. Messages carry totals that only grow, and
 * the receiver takes the larger one, so that a message that is lost, repeated or late changes nothing twice.
 */

/** This process among those that share its accounts. */
export interface Siblings {
  /** Names this process towards the database; another one after the old one was closed from outside. */
  readonly logId: string;
  /** Processes that live, this one included. Undefined until the database has said so. */
  readonly live: number | undefined;
  /** This one's place among them, from 0. */
  readonly rank: number | undefined;
}

interface Claim {
  /** All that was ever given to this process, as far as it knows. */
  readonly granted: number;
  /** All that it has ever given back unused. */
  readonly returned: number;
  /** What `granted` must reach; 0 = this is only a report. */
  readonly want: number;
  /** Welcome beyond that while much is left. */
  readonly slack: number;
}

export interface BudgetClaim extends Claim {
  readonly account: string;
  /** Largest single reservation: slack comes in whole ones. */
  readonly ticket: number;
}

/** All money in millionths of a US dollar. */
export interface BudgetReply {
  readonly account: string;
  readonly granted: number;
  /** What is left for anybody. */
  readonly free: number;
  /** Spent in this window as far as the ledger knows. */
  readonly spent: number;
  readonly max: number | undefined;
  /** Until the window ends; undefined = never. */
  readonly windowMs: number | undefined;
}

/** The budgets' side: PostgreSQL. */
export interface BudgetSlices {
  /**
   * Accounts that do not exist are missing in the reply.
   * @throws LogClosed, or any error when the database cannot be asked; the call may be repeated then.
   */
  grant(logId: string, claims: readonly BudgetClaim[]): Promise<readonly BudgetReply[]>;
}

/** A database that shows what was granted, be it the one that grants or a replica of it. */
export interface ShownSlices {
  /** @returns `granted` by account; accounts of which the log holds nothing are missing. */
  shown(logId: string, accounts: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

/** This process was given up: what it held has been returned, and it must start over under another name. */
export class LogClosed extends Error {
  constructor(cause: unknown) {
    super('the spend log of this process was closed', { cause });
    this.name = 'LogClosed';
  }
}

export interface LimitClaim extends Claim {
  readonly key: string;
  readonly limit: number;
  /** Length of the window; 0 = slots, which are held and not used up. */
  readonly windowMs: number;
  /** The window that the totals belong to. */
  readonly window: number;
}

export interface LimitReply {
  readonly window: number;
  /** From the moment the claim was sent, the grant can be used for so long. */
  readonly leftMs: number;
  readonly granted: number;
  readonly free: number;
}

/** The rate limits' side: Redis. */
export interface LimitSlices {
  /** Whether it answered when it was last asked. */
  readonly up: boolean;
  /**
   * @param live processes that share the limits.
   * @returns replies in the order of the claims. Throws when Redis does not answer in time.
   */
  claim(claims: readonly LimitClaim[], live: number): Promise<readonly LimitReply[]>;
}
