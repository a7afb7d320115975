/** What binds a caller, level by level. Resolved once, with the key, and kept with it: a request only reads it. */

/** In the order in which a refusal names them, which is LiteLLM's. */
export const levels = ['team', 'member', 'user', 'endUser', 'global', 'organization', 'key'] as const;
export type Level = (typeof levels)[number];

/** A budget with a limit: a row of the table `account`. Several windows of one level are several of these. */
export interface BudgetAccount {
  /** Made by `accountId`. */
  readonly id: string;
  /** Millionths of a US dollar in one window. */
  readonly maxMicros: number;
  /** Beyond it somebody is told; nothing is refused. */
  readonly softMicros?: number;
}

/** Absent = no limit. */
export interface RateLimits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  /** Requests that run at once. */
  readonly parallelRequests?: number;
}

/** Budgets and limits that hold together. */
export interface Allowance {
  readonly budgets: readonly BudgetAccount[];
  readonly limits: RateLimits;
}

/** One level of a caller: its key, its team, its organization. */
export interface Scope extends Allowance {
  readonly level: Level;
  /** For messages and headers: an alias, else the id; of a key its masked name. Never a secret. */
  readonly name: string;
  /** What all spend of this level is counted for, limited or not. */
  readonly account: string;
  /** Own allowances for single model groups, beside the level's. */
  readonly models: ReadonlyMap<string, Allowance>;
}

/** So that the accounts which many requests share sort last: they are locked last and for the shortest time. */
const prefixes: Readonly<Record<Level, string>> = {
  key: 'a:key',
  member: 'b:member',
  endUser: 'c:end_user',
  user: 'm:user',
  team: 't:team',
  organization: 'y:organization',
  global: 'z:global',
};

/**
 * @param id of the level's object; of a member `team/user`; empty for `global`.
 * @param part tells several budgets of one object apart, such as a window (`24h`) or a model (`model:gpt-4o`).
 */
export const accountId = (level: Level, id: string, part?: string): string =>
  `${prefixes[level]}${id === '' ? '' : `:${id}`}${part === undefined ? '' : `|${part}`}`;
