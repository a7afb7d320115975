/** What each deployment has been used for in the running minute, here and in sibling processes. */

export interface MinuteUsage {
  readonly requests: number;
  readonly tokens: number;
}

/** This process's books, as far as siblings have a part in them. */
export interface UsageLedger {
  /** Number of the running minute. Until `align` was called it is this process's own. */
  readonly minute: number;
  /** Counted here in the running minute. */
  counted(deploymentId: string): MinuteUsage;
  /** What siblings have counted in that minute; replaces what was known of it. */
  adopt(minute: number, deploymentId: string, others: MinuteUsage): void;
  /** Lets minutes begin when those of a common clock do; what was counted in the running minute stays in it. */
  align(commonMs: number): void;
}
